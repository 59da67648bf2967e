//! An operator's calls about schedules that need attention, with all workers until the end: no
//! message is lost or sent twice unintentionally, and the API's answers agree with the carrier's
//! ledger.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod gate;

use std::{sync::Arc, time::Duration};

use api::App;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::platform::queue::{DispatchMessage, Outgoing, read_body};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{FakeQueue, Stage, fixture};
use uuid::Uuid;

struct Operator {
    stage: Stage,
    app: App,
    dispatch_queue: Arc<FakeQueue>,
}

impl Operator {
    async fn new(pool: MySqlPool, settings: Settings) -> Self {
        let stage = Stage::new(pool, settings).await;
        let dispatch_queue = FakeQueue::new();
        let app = App {
            dispatch_queue: dispatch_queue.clone(),
            ..gate::app(&stage).await
        };
        Self {
            stage,
            app,
            dispatch_queue,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        gate::post(&self.app, path, body).await
    }

    async fn get(&self, path: &str) -> Value {
        gate::get(&self.app, path).await
    }

    fn wait(&self, seconds: u64) {
        self.stage.db.clock.advance(Duration::from_secs(seconds));
    }

    /// Processes dispatch's queue once and then the other queues until they are empty. The sweep
    /// runs only if the API has requested it.
    async fn run_workers(&self) {
        for message in self.dispatch_queue.take() {
            if message == Outgoing::sweep() {
                self.stage.dispatcher.sweep(|| true).await.unwrap();
            } else {
                let message = read_body::<DispatchMessage>(&message.body).unwrap();
                self.stage
                    .dispatcher
                    .dispatch(message, dispatch::DispatchedBy::Queue)
                    .await
                    .unwrap();
            }
        }
        self.stage.play().await;
    }

    /// Inserts a schedule and dispatches it: its batches are cut, and nothing has been sent.
    async fn cut_schedule(&self, recipients: u32) -> Uuid {
        let schedule = fixture::Schedule {
            recipients,
            ..Default::default()
        }
        .insert(&self.stage.db)
        .await;
        self.stage
            .dispatcher
            .dispatch(schedule, dispatch::DispatchedBy::Queue)
            .await
            .unwrap();
        schedule.schedule_id
    }

    async fn status(&self, id: Uuid) -> String {
        fixture::assert_counts(&self.stage.db, id).await;
        fixture::status(&self.stage.db, id).await
    }

    /// Returns how many entries need an operator's attention.
    async fn attention(&self) -> i64 {
        self.get("/v1/attention").await["total"].as_i64().unwrap()
    }

    /// Returns how often the carrier accepted a message to each number, sorted by number.
    fn times_accepted(&self) -> Vec<usize> {
        self.stage
            .acceptances()
            .into_iter()
            .map(|(_, times)| times)
            .collect()
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_missed_schedule_can_be_sent_now_or_cancelled(pool: MySqlPool) {
    let operator = Operator::new(pool, Settings::default()).await;
    let late = || fixture::Schedule {
        recipients: 12,
        run_in_s: -7_200,
        ..Default::default()
    };
    let (sent, closed) = (
        late().insert(&operator.stage.db).await.schedule_id,
        late().insert(&operator.stage.db).await.schedule_id,
    );
    operator.stage.dispatcher.sweep(|| true).await.unwrap();
    assert_eq!(
        (operator.attention().await, operator.times_accepted().len()),
        (2, 0)
    );
    operator
        .post(&format!("/v1/schedules/{sent}/send-now"), &json!({}))
        .await;
    operator.run_workers().await;
    operator
        .post(&format!("/v1/schedules/{closed}/cancel"), &json!({}))
        .await;
    operator.run_workers().await;
    assert_eq!(
        fixture::count(&operator.stage.db, sent, "DELIVRD").await,
        12
    );
    assert_eq!(
        fixture::count(&operator.stage.db, closed, "CANCELLED").await,
        12
    );
    assert_eq!(
        (
            operator.status(sent).await.as_str(),
            operator.status(closed).await.as_str()
        ),
        ("finished", "cancelled")
    );
    assert_eq!(
        (operator.times_accepted(), operator.attention().await),
        (vec![1; 12], 0)
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn missed_batches_can_be_sent_now_or_cancelled(pool: MySqlPool) {
    let operator = Operator::new(pool, Settings::default()).await;
    for (step, state) in [("send-now", "DELIVRD"), ("cancel", "CANCELLED")] {
        let before = operator.times_accepted().len();
        let id = operator.cut_schedule(15).await;
        let batches = operator.stage.send_queue.take_batches();
        operator.stage.send(batches[0]).await;
        operator.wait(7_200);
        operator.stage.send(batches[1]).await;
        let view = operator.get(&format!("/v1/schedules/{id}")).await;
        assert_eq!(view["attention"]["missed_batches"], 1);
        operator.stage.send(batches[2]).await;
        operator.run_workers().await;
        assert_eq!(operator.status(id).await, "missed");
        let answer = operator
            .post(&format!("/v1/schedules/{id}/{step}"), &json!({}))
            .await;
        if step == "send-now" {
            assert_eq!(answer["batches"], 2);
        }
        operator.run_workers().await;
        let ended = if step == "send-now" {
            "finished"
        } else {
            "cancelled"
        };
        assert_eq!(operator.status(id).await, ended);
        assert_eq!(
            fixture::count(&operator.stage.db, id, state).await,
            if step == "send-now" { 15 } else { 10 }
        );
        let new = &operator.times_accepted()[before.min(15)..];
        assert!(new.iter().all(|times| *times <= 1), "{new:?}");
        assert_eq!(operator.attention().await, 0);
        sqlx::query("UPDATE recipients SET phone = CONCAT('+6013', 1000000 + seq)")
            .execute(&operator.stage.db)
            .await
            .unwrap();
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_parked_batch_is_delivered_after_a_retry(pool: MySqlPool) {
    let operator = Operator::new(pool, Settings::default()).await;
    let id = operator.cut_schedule(5).await;
    let batch = operator.stage.send_queue.take_batches()[0];
    for _ in 0..3 {
        // Three workers claim the batch and crash.
        let now = operator.stage.db.now();
        let claim = shared::batch::claim::Claim::new(batch, now, now + TimeDelta::seconds(60));
        assert!(
            shared::batch::claim::claim_to_send(&operator.stage.db, &claim)
                .await
                .unwrap()
        );
        operator.wait(61);
    }
    operator.stage.send(batch).await;
    operator.stage.dispatcher.sweep(|| true).await.unwrap();
    operator.run_workers().await;
    assert!(operator.times_accepted().is_empty());
    let list = operator.get("/v1/attention/parked").await;
    let retry = list["entries"][0]["actions"][1]["href"].as_str().unwrap();
    assert_eq!(operator.post(retry, &json!({})).await["changed"], 1);
    operator.run_workers().await;
    assert_eq!(
        (
            operator.times_accepted(),
            operator.status(id).await.as_str()
        ),
        (vec![1; 5], "finished")
    );
    assert_eq!(
        (
            operator.attention().await,
            fixture::count(&operator.stage.db, id, "DELIVRD").await
        ),
        (0, 5)
    );
}

/// Returns a schedule of ten recipients. The carrier has accepted all their messages, but the
/// responses were lost.
async fn all_uncertain(operator: &Operator) -> Uuid {
    let id = operator.cut_schedule(10).await;
    for batch in operator.stage.send_queue.take_batches() {
        operator.stage.send(batch).await;
    }
    operator.run_workers().await;
    assert_eq!(
        operator.status(id).await,
        "finished",
        "with `hold`, nothing more happens without an operator"
    );
    assert_eq!(
        fixture::count(&operator.stage.db, id, "UNCERTAIN").await,
        10
    );
    let shown = operator.get(&format!("/v1/schedules/{id}")).await;
    assert_eq!(shown["outcome"], "incomplete");
    id
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn messages_resolved_as_sent_are_not_sent_again(pool: MySqlPool) {
    let operator = operator_with_lost_responses(pool).await;
    let id = all_uncertain(&operator).await;
    let accepted = operator.times_accepted();
    assert_eq!(operator.attention().await, 1);
    assert_eq!(
        operator
            .post(
                &format!("/v1/schedules/{id}/uncertain"),
                &json!({"outcome": "sent"})
            )
            .await["changed"],
        10
    );
    operator.run_workers().await;
    assert_eq!(
        (
            operator.times_accepted(),
            operator.status(id).await.as_str()
        ),
        (accepted, "finished")
    );
    assert_eq!(fixture::count(&operator.stage.db, id, "UNKNOWN").await, 10);
    let shown = operator.get(&format!("/v1/schedules/{id}")).await;
    assert_eq!(shown["outcome"], "complete");
    assert_eq!(operator.attention().await, 0);
}

/// Returns an operator whose carrier accepts all messages and loses all responses.
async fn operator_with_lost_responses(pool: MySqlPool) -> Operator {
    let settings = Settings {
        reset_after_accept: 1.0,
        ..Settings::default()
    };
    Operator::new(pool, settings).await
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn messages_resolved_as_resend_are_accepted_exactly_once_more(pool: MySqlPool) {
    let operator = operator_with_lost_responses(pool).await;
    let id = all_uncertain(&operator).await;
    let accepted = operator.times_accepted();
    assert!(accepted.iter().all(|times| *times == 1), "{accepted:?}");
    resolve_three_as_resend(&operator, id).await;
    // The carrier's fault is repaired before the resend.
    let carrier = operator.stage.simulator.carrier();
    carrier.set(Settings::default()).unwrap();
    operator.run_workers().await;

    assert_eq!(operator.times_accepted(), [2, 2, 1, 1, 1, 1, 1, 1, 2, 1]);
    let lines = fixture::recipients(&operator.stage.db, id).await;
    assert_eq!(
        (lines[0].as_str(), lines[8].as_str()),
        ("1 DELIVRD 2 1", "9 DELIVRD 2 1")
    );
    let attempts: Vec<String> = sqlx::query_scalar(
        "SELECT CONCAT_WS(' ', seq, attempt, status) FROM attempts ORDER BY seq",
    )
    .fetch_all(&operator.stage.db)
    .await
    .unwrap();
    assert_eq!(
        attempts,
        ["1 1 UNCERTAIN", "2 1 UNCERTAIN", "9 1 UNCERTAIN"]
    );
    assert_eq!(
        (
            fixture::count(&operator.stage.db, id, "UNCERTAIN").await,
            operator.status(id).await.as_str()
        ),
        (7, "finished")
    );
}

/// Resolves the recipients 1, 2 and 9 as `resend`: refused at first, accepted after the quiet time.
async fn resolve_three_as_resend(operator: &Operator, id: Uuid) {
    let path = format!("/v1/schedules/{id}/uncertain");
    let body = json!({"outcome": "resend", "recipients": [1, 2, fixture::phone(9)]});
    let early = operator.post(&path, &body).await;
    assert_eq!(
        (&early["changed"], &early["left"]["too_recent"]),
        (&json!(0), &json!(3))
    );
    let until = early["too_recent_until"].as_str().unwrap();
    let until: DateTime<Utc> = until.parse().unwrap();
    let now = operator.stage.db.now();
    assert!(
        until > now && until <= now + TimeDelta::seconds(300),
        "{until}"
    );
    operator.wait(300);
    assert_eq!(operator.post(&path, &body).await["changed"], 3);
}
