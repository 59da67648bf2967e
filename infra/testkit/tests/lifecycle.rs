//! The life of a schedule as a state machine: random calls of people, one by one and in the middle of a worker's pass, with lost messages,
//! messages that come twice and time that passes. No state is reached that the table of states does not have, what a pause or a cancel
//! said had gone out is what the carrier's ledger shows, and in the end everybody has got it once, or was closed, and a webhook was told
//! of each move and of each recipient once.
#![allow(missing_docs, clippy::unwrap_used)]

mod gate;

use std::{sync::Mutex, time::Duration};

use api::App;
use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use lambda_http::tower::ServiceExt;
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use shared::{
    events::EventType,
    message::window::{Clock, Window},
    platform::queue::BatchMessage,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, webhooks};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Activate,
    Pause,
    Resume,
    Cancel,
    SendNow,
    Append,
    Text,
    Rate,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A person's call, alone.
    Call(Call),
    /// Send and recheck take every message there is, in turn; each of them twice, if so.
    Work { twice: bool },
    /// A call so many milliseconds after such work has begun.
    Amid(Call, u8),
    /// The sweep of a minute.
    Sweep,
    /// So many seconds pass.
    Wait(u16),
    /// Both queues are emptied.
    Purge,
}

fn call() -> impl Strategy<Value = Call> {
    use Call::{Activate, Append, Cancel, Pause, Rate, Resume, SendNow, Text};
    prop_oneof![
        2 => Just(Activate), 4 => Just(Pause), 5 => Just(Resume), 2 => Just(Cancel),
        2 => Just(SendNow), 2 => Just(Append), 1 => Just(Text), 2 => Just(Rate),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => call().prop_map(Step::Call),
        4 => any::<bool>().prop_map(|twice| Step::Work { twice }),
        4 => (call(), 0_u8..50).prop_map(|(call, after)| Step::Amid(call, after)),
        5 => Just(Step::Sweep),
        4 => prop_oneof![12 => 40_u16..140, 1 => 1_000_u16..5_000].prop_map(Step::Wait),
        1 => Just(Step::Purge),
    ]
}

/// What the workers may make of a state, in any number of steps.
fn by_workers(from: &str) -> &'static [&'static str] {
    match from {
        "draft" => &["draft"],
        "scheduled" => &["scheduled", "running", "finished", "missed"],
        "running" | "finished" | "missed" => &["running", "finished", "missed"],
        "paused" => &["paused"],
        _ => &["cancelled"],
    }
}

/// What a call makes of a state; none: it is refused. What is missed in part depends on the batches.
fn by_call(from: &str, call: Call) -> &'static [&'static str] {
    use Call::{Activate, Append, Cancel, Pause, Rate, Resume, SendNow, Text};
    match (call, from) {
        (Append | Text | Rate, "draft") => &["draft"],
        (Activate, "draft") | (Append | Text | Rate, "scheduled") => &["scheduled"],
        (Pause, "scheduled" | "running") | (Text | Rate, "paused") => &["paused"],
        (Resume, "paused") | (SendNow, "missed") => &["scheduled", "running"],
        (SendNow, "running" | "finished") | (Rate, "running") => &["running"],
        (Cancel, "draft" | "scheduled" | "running" | "paused" | "missed") => &["cancelled"],
        _ => &[],
    }
}

/// Ten minutes a day, of which the next begin in a few minutes: around noon in a zone where it is noon now.
fn window(now: DateTime<Utc>) -> Window {
    let zone = format!("Etc/GMT{:+}", now.hour() as i32 - 12);
    let at = |minutes: u32| {
        let minutes = 12 * 60 + now.minute() + minutes;
        Clock::parse(&format!("{:02}:{:02}", minutes / 60, minutes % 60)).unwrap()
    };
    let days = "Mon Tue Wed Thu Fri Sat Sun"
        .split(' ')
        .map(|day| day.parse().unwrap())
        .collect();
    Window {
        days,
        from: at(3),
        to: at(13),
        zone: zone.parse().unwrap(),
    }
}

struct Play {
    stage: Stage,
    app: App,
    key: axum::http::HeaderValue,
    id: Uuid,
    /// How many had gone out, as the last pause or cancel said it.
    told: Option<u64>,
    /// The hours in which it may send.
    window: Option<Window>,
    /// A webhook that wants to know everything, and the moves that it is to be told of.
    webhook: Uuid,
    moves: Mutex<Vec<&'static str>>,
}

impl Play {
    async fn new(pool: &MySqlPool, with_window: bool) -> Self {
        for table in [
            "batches",
            "recipients",
            "schedules",
            "webhooks",
            "webhook_deliveries",
        ] {
            sqlx::query(&format!("DELETE FROM {table}"))
                .execute(pool)
                .await
                .unwrap();
        }
        let stage = Stage::new(
            pool.clone(),
            Settings {
                latency_ms: 10,
                ..Settings::default()
            },
        )
        .await;
        let app = gate::app(&stage).await;
        let key = gate::new_key(&app.db).await;
        let wanted = EventType::ALL.map(EventType::as_str).join(",");
        let webhook = webhooks::insert(&stage.db, "https://example.com/hook", &wanted).await;
        let mut play = Self {
            stage,
            app,
            key,
            id: Uuid::nil(),
            told: None,
            window: None,
            webhook,
            moves: Mutex::default(),
        };
        let phones: Vec<_> = (1..=12).map(fixture::phone).collect();
        let run_at = (play.stage.db.now() + TimeDelta::seconds(100)).to_rfc3339();
        let window = with_window.then(|| window(play.stage.db.now()));
        let body = json!({"run_at": run_at, "message": "Hello", "recipients": phones, "draft": true, "max_lateness_s": 600,
            "window": window});
        let (status, created) = play.http(Method::POST, "", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        play.window = window;
        play.id = created["id"].as_str().unwrap().parse().unwrap();
        play
    }

    async fn http(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let path = if self.id.is_nil() {
            "/v1/schedules".to_owned()
        } else {
            format!("/v1/schedules/{}{path}", self.id)
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        let request = request
            .header("authorization", self.key.clone())
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = api::routes::router(self.app.clone())
            .oneshot(request)
            .await
            .unwrap();
        let status = answer.status();
        (
            status,
            serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap())
                .unwrap(),
        )
    }

    async fn call(&self, call: Call) -> (StatusCode, Value) {
        let (status, answer) = self.make(call).await;
        let told = match call {
            Call::Pause => "schedule.paused",
            Call::Resume => "schedule.resumed",
            Call::Cancel => "schedule.cancelled",
            _ => return (status, answer),
        };
        if status.is_success() {
            self.moves.lock().unwrap().push(told);
        }
        (status, answer)
    }

    async fn make(&self, call: Call) -> (StatusCode, Value) {
        let post = |path: &'static str| self.http(Method::POST, path, &Value::Null);
        match call {
            Call::Activate => post("/activate").await,
            Call::Pause => post("/pause").await,
            Call::Resume => post("/resume").await,
            Call::Cancel => post("/cancel").await,
            Call::SendNow => post("/send-now").await,
            Call::Append => {
                self.http(
                    Method::POST,
                    "/recipients",
                    &json!([fixture::phone(13), fixture::phone(14)]),
                )
                .await
            }
            Call::Text => {
                self.http(Method::PATCH, "", &json!({"message": "Hello again"}))
                    .await
            }
            Call::Rate => self.http(Method::PATCH, "", &json!({"rate": 10})).await,
        }
    }

    /// Everything that waits, message by message. Nobody sleeps: what is not due yet is not claimed, and the sweep finds it.
    async fn work(&self, twice: bool) {
        let now = self.stage.db.now();
        for batch in self.stage.send_queue.take_batches() {
            for _ in 0..=u8::from(twice) {
                if self.is_due(batch, now).await {
                    self.stage.send(batch).await;
                }
            }
        }
        for batch in self.stage.recheck_queue.take_batches() {
            for _ in 0..=u8::from(twice) {
                self.stage.recheck(batch).await;
            }
        }
    }

    /// A pass that is claimed a little early sleeps until its time, of which there is none to spare here.
    async fn is_due(&self, batch: BatchMessage, now: DateTime<Utc>) -> bool {
        fixture::batch(&self.stage.db, batch)
            .await
            .send_at
            .is_none_or(|at| at <= now)
    }

    async fn sweep(&self) {
        self.stage.dispatcher.sweep(|| true).await.unwrap();
    }

    fn wait(&self, seconds: u16) {
        self.stage
            .db
            .clock
            .advance(Duration::from_secs(seconds.into()));
    }

    async fn status(&self) -> String {
        fixture::status(&self.stage.db, self.id).await
    }

    fn accepted(&self) -> u64 {
        self.stage.acceptances().len() as u64
    }

    /// One step, and whether the state that it led to is one that the table has.
    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let before = self.status().await;
        let mut reachable: Vec<&str> = by_workers(&before).to_vec();
        match step {
            Step::Call(call) => {
                let (status, answer) = self.call(call).await;
                reachable = self.judge(&before, call, status, &answer)?;
            }
            Step::Amid(call, after) => {
                let delayed = async {
                    tokio::time::sleep(Duration::from_millis(after.into())).await;
                    self.call(call).await
                };
                let ((), (status, answer)) = tokio::join!(self.work(false), delayed);
                self.note(call, status, &answer)?;
                if status.is_success() {
                    let moved = reachable.iter().flat_map(|state| by_call(state, call));
                    reachable = moved.flat_map(|state| by_workers(state)).copied().collect();
                    // A rate and a text leave the state as it is; what has been sent already may end meanwhile.
                    prop_assert!(
                        !reachable.is_empty(),
                        "{:?} was taken from {}",
                        call,
                        before
                    );
                }
            }
            Step::Work { twice } => self.work(twice).await,
            Step::Sweep => self.sweep().await,
            Step::Wait(seconds) => self.wait(seconds),
            Step::Purge => drop((
                self.stage.send_queue.take(),
                self.stage.recheck_queue.take(),
            )),
        }
        let after = self.status().await;
        prop_assert!(
            reachable.contains(&after.as_str()),
            "{:?} led from {} to {}",
            step,
            before,
            after
        );
        fixture::assert_counts(&self.stage.db, self.id).await;
        prop_assert!(
            self.stage
                .acceptances()
                .iter()
                .all(|(_, times)| *times == 1),
            "somebody got it twice: {:?}",
            step
        );
        if let (Some(told), "paused" | "cancelled") = (self.told, after.as_str()) {
            prop_assert_eq!(self.accepted(), told, "the ledger after {:?}", step);
        }
        Ok(())
    }

    /// A call that nothing disturbed: taken where the table has it, refused where not, with the state and what is possible.
    fn judge(
        &mut self,
        before: &str,
        call: Call,
        status: StatusCode,
        answer: &Value,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        let to = by_call(before, call);
        self.note(call, status, answer)?;
        if status.is_success() {
            prop_assert!(!to.is_empty(), "{:?} was taken from {}", call, before);
            return Ok(to.to_vec());
        }
        prop_assert_eq!(status, StatusCode::CONFLICT, "{:?} {}", call, answer);
        prop_assert_eq!(&answer["schedule_status"], before);
        // Refused though the state allows it: a draft whose time has passed, a text once it was cut, nothing that was missed.
        let slug = answer["type"]
            .as_str()
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default();
        prop_assert!(
            to.is_empty() || matches!(slug, "run-at-past" | "schedule-begun" | "nothing-missed"),
            "{:?} {}: {}",
            call,
            before,
            answer
        );
        Ok(by_workers(before)
            .iter()
            .copied()
            .filter(|state| *state == before)
            .collect())
    }

    fn note(
        &mut self,
        call: Call,
        status: StatusCode,
        answer: &Value,
    ) -> Result<(), TestCaseError> {
        prop_assert!(
            status.is_success() || status == StatusCode::CONFLICT,
            "{:?}: {} {}",
            call,
            status,
            answer
        );
        if status.is_success() {
            match call {
                Call::Pause | Call::Cancel => self.told = answer["already_sent"].as_u64(),
                Call::Resume | Call::SendNow => self.told = None,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whatever state it is in: a person brings it to an end.
    async fn finish(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..if self.window.is_some() { 500 } else { 60 } {
            let (status, missed) = (
                self.status().await,
                self.http(Method::GET, "", &Value::Null).await.1["attention"]["missed_batches"]
                    .clone(),
            );
            let step = match status.as_str() {
                "draft" => Some(Call::Activate),
                "paused" => Some(Call::Resume),
                "missed" => Some(Call::SendNow),
                "running" if missed.as_u64() > Some(0) => Some(Call::SendNow),
                "running" | "scheduled" | "cancelled" => None,
                _ => break,
            };
            if let Some(call) = step {
                let (status, _) = self.call(call).await;
                // A draft whose time has passed is of no use any more.
                if status == StatusCode::CONFLICT && call == Call::Activate {
                    let (_, answer) = self.call(Call::Cancel).await;
                    self.told = answer["already_sent"].as_u64();
                }
            }
            self.wait(if self.window.is_some() { 400 } else { 60 });
            self.sweep().await;
            self.work(false).await;
            let open: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM batches WHERE sweep_at IS NOT NULL")
                    .fetch_one(&self.stage.db.pool)
                    .await
                    .unwrap();
            if open == 0 && self.status().await == "cancelled" {
                break;
            }
        }
        self.judge_what_was_told().await?;
        self.judge_the_end().await
    }

    /// Each move once, in its order; everybody that has ended, in one event; and the end, if it was one.
    async fn judge_what_was_told(&self) -> Result<(), TestCaseError> {
        let told = webhooks::events(&self.stage.db, self.webhook).await;
        let is_move = |kind: &&String| {
            matches!(
                kind.as_str(),
                "schedule.paused" | "schedule.resumed" | "schedule.cancelled"
            )
        };
        let moves: Vec<_> = told.iter().filter(is_move).map(String::as_str).collect();
        let expected = self.moves.lock().unwrap().clone();
        prop_assert_eq!(moves, expected);
        let untold = "SELECT COUNT(*) FROM recipients r LEFT JOIN webhook_deliveries d ON d.event_id = r.final_event AND r.seq BETWEEN d.first_seq AND d.last_seq
            WHERE (r.final_at IS NOT NULL) <> (d.event_id IS NOT NULL)";
        let untold: i64 = sqlx::query_scalar(untold)
            .fetch_one(&self.stage.db.pool)
            .await
            .unwrap();
        prop_assert_eq!(untold, 0, "{:?}", told);
        let ended = self.status().await == "finished";
        prop_assert!(
            !ended || told.iter().any(|kind| kind == "schedule.finished"),
            "{:?}",
            told
        );
        Ok(())
    }

    async fn judge_the_end(&self) -> Result<(), TestCaseError> {
        let status = self.status().await;
        let lines = fixture::recipients(&self.stage.db, self.id).await;
        let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
        let delivered = count("DELIVRD") as u64;
        let early = "SELECT COUNT(*) FROM recipients r JOIN schedules s ON s.id = r.schedule_id WHERE r.sent_at < s.run_at";
        let early: i64 = sqlx::query_scalar(early)
            .fetch_one(&self.stage.db.pool)
            .await
            .unwrap();
        prop_assert_eq!(early, 0, "sent before its time: {:?}", lines);
        if let Some(window) = &self.window {
            let sent =
                "SELECT sent_at FROM recipients WHERE schedule_id = ? AND sent_at IS NOT NULL";
            let sent: Vec<DateTime<Utc>> = sqlx::query_scalar(sent)
                .bind(self.id)
                .fetch_all(&self.stage.db.pool)
                .await
                .unwrap();
            // The mark is written a moment after the look at the clock.
            let outside = |at: &&DateTime<Utc>| {
                !window.is_open(**at) && !window.is_open(**at - TimeDelta::seconds(1))
            };
            prop_assert_eq!(sent.iter().find(outside), None, "outside of {:?}", window);
        }
        prop_assert_eq!(self.accepted(), delivered, "{}: {:?}", status, lines);
        match status.as_str() {
            "finished" => prop_assert_eq!(delivered as usize, lines.len(), "{:?}", lines),
            "cancelled" => {
                prop_assert_eq!(Some(delivered), self.told, "{:?}", lines);
                let never_cut = count("PENDING") == lines.len() && delivered == 0;
                prop_assert!(
                    never_cut || count("CANCELLED") + delivered as usize == lines.len(),
                    "{:?}",
                    lines
                );
            }
            other => prop_assert!(false, "it never ended: {} {:?}", other, lines),
        }
        Ok(())
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn no_sequence_of_calls_leaves_the_table_of_states_or_forgets_anybody(pool: MySqlPool) {
    let handle = tokio::runtime::Handle::current();
    let run = move || {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 32,
            max_shrink_iters: 200,
            failure_persistence: None,
            ..Default::default()
        });
        // Most of them live before anything else happens.
        let steps = (
            proptest::bool::weighted(0.9),
            proptest::bool::weighted(0.3),
            proptest::collection::vec(step(), 5..40),
        );
        runner.run(&steps, |(activated, with_window, steps)| {
            handle.block_on(async {
                let mut play = Play::new(&pool, with_window).await;
                if activated {
                    play.step(Step::Call(Call::Activate)).await?;
                }
                for step in steps {
                    play.step(step).await?;
                }
                play.finish().await
            })
        })
    };
    if let Err(error) = tokio::task::spawn_blocking(run).await.unwrap() {
        panic!("{error}");
    }
}
