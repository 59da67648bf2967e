//! Budgets as a state machine, under random operations: an administrator sets, raises, lowers and
//! removes the budget; an operator pauses and resumes; passes run alone, at the same time, or are
//! killed; messages are lost. No sequence of them sends beyond the budget, and when it is raised at
//! the end, each recipient gets the message once.
#![allow(missing_docs, clippy::unwrap_used)]

mod gate;

use std::time::Duration;

use api::{
    App,
    resources::api_keys::{
        create::{KeyRequest, new_key},
        store::insert_api_key,
    },
};
use axum::{
    body::{Body, to_bytes},
    http::{HeaderValue, Method, Request, StatusCode},
};
use chrono::{Datelike, TimeDelta};
use futures_util::future::join_all;
use lambda_http::tower::ServiceExt;
use proptest::{prelude::*, test_runner::TestCaseError, test_runner::TestRunner};
use serde_json::{Value, json};
use shared::{access::Permission, platform::secret::hash_token};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture};
use uuid::Uuid;

const RECIPIENTS: u32 = 30;
/// More than all messages and their resends.
const ENOUGH: u64 = 100_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    SetBudget(u64),
    RemoveBudget,
    Pause,
    Resume,
    /// All waiting batches one after the other, or at the same time.
    Work {
        at_once: bool,
    },
    /// The passes are killed so many milliseconds after their start.
    KilledWork(u64),
    Sweep,
    Purge,
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u64..40).prop_map(Step::SetBudget),
        1 => Just(Step::RemoveBudget),
        1 => Just(Step::Pause),
        3 => Just(Step::Resume),
        4 => any::<bool>().prop_map(|at_once| Step::Work { at_once }),
        2 => (5_u64..60).prop_map(Step::KilledWork),
        3 => Just(Step::Sweep),
        1 => Just(Step::Purge),
        2 => (30_u16..200).prop_map(Step::Wait),
    ]
}

struct Machine {
    stage: Stage,
    app: App,
    admin: HeaderValue,
    id: Uuid,
    budget: Option<Budget>,
}

/// The present budget.
struct Budget {
    id: String,
    amount: u64,
    /// The month that is counted.
    month: u32,
    /// What was accepted when it was set, or when the month began.
    before: u64,
    /// The most that may be accepted after that: its amount, or what was accepted already when it
    /// was lowered.
    most: u64,
}

impl Machine {
    async fn new(pool: &MySqlPool) -> Self {
        for table in [
            "turns",
            "batches",
            "recipients",
            "schedules",
            "budgets",
            "spending",
            "schedule_costs",
        ] {
            let sql = format!("DELETE FROM {table}");
            sqlx::query(&sql).execute(pool).await.unwrap();
        }
        let settings = Settings {
            // No 429: a pass would wait for a learned limit, in real time.
            latency_ms: 10,
            undeliv: 0.1,
            delivery_delay_ms_min: 0,
            delivery_delay_ms_max: 0,
            ..Settings::default()
        };
        let stage = Stage::new(pool.clone(), settings).await;
        fixture::reset_carrier(&stage.db).await;
        let app = gate::app(&stage).await;
        let admin = administrator(&app).await;
        let mut machine = Self {
            stage,
            app,
            admin,
            id: Uuid::nil(),
            budget: None,
        };
        let run_at = machine.stage.db.now() + TimeDelta::seconds(2);
        let body = json!({"run_at": run_at.to_rfc3339(), "message": "Hello", "recipients": gate::phones(1..=RECIPIENTS), "max_attempts": 3,
            "max_lateness_s": 86_400});
        let (status, created) = machine.call(Method::POST, "/v1/schedules", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        machine.id = created["id"].as_str().unwrap().parse().unwrap();
        machine
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", self.admin.clone())
            .body(Body::from(body.to_string()));
        let router = api::routes::router(self.app.clone());
        let answer = router.oneshot(request.unwrap()).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn accepted(&self) -> u64 {
        self.stage.simulator.carrier().accepted()
    }

    async fn set_budget(&mut self, amount: u64) {
        let accepted = self.accepted();
        let text = json!({"amount": amount.to_string()});
        if let Some(budget) = &mut self.budget {
            budget.amount = amount;
            budget.most = amount.max(accepted - budget.before);
            let path = format!("/v1/budgets/{}", budget.id);
            let (status, body) = self.call(Method::PATCH, &path, &text).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            return;
        }
        let body = json!({"scope": "system", "period": "month", "unit": "parts", "amount": amount.to_string()});
        let (status, body) = self.call(Method::POST, "/v1/budgets", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        self.budget = Some(Budget {
            id: body["id"].as_str().unwrap().to_owned(),
            amount,
            month: self.stage.db.now().month(),
            before: accepted,
            most: amount,
        });
    }

    /// Begins to count anew if another month has begun. Called before each step: a pass counts in the
    /// month in which it began.
    fn follow_month(&mut self) {
        let (month, accepted) = (self.stage.db.now().month(), self.accepted());
        if let Some(budget) = self.budget.as_mut().filter(|budget| budget.month != month) {
            (budget.month, budget.before, budget.most) = (month, accepted, budget.amount);
        }
    }

    async fn execute(&mut self, step: Step) {
        self.follow_month();
        let move_to = |name: &str| format!("/v1/schedules/{}/{name}", self.id);
        match step {
            Step::SetBudget(amount) => self.set_budget(amount).await,
            Step::RemoveBudget => {
                if let Some(budget) = self.budget.take() {
                    let path = format!("/v1/budgets/{}", budget.id);
                    let (status, _) = self.call(Method::DELETE, &path, &Value::Null).await;
                    assert_eq!(status, StatusCode::NO_CONTENT);
                }
            }
            Step::Pause => drop(self.call(Method::POST, &move_to("pause"), &json!({})).await),
            Step::Resume => {
                drop(
                    self.call(Method::POST, &move_to("resume"), &json!({"now": true}))
                        .await,
                );
            }
            Step::Work { at_once: true } => {
                let batches = self.stage.send_queue.take_batches();
                join_all(batches.into_iter().map(|batch| self.stage.send(batch))).await;
                self.stage.work().await;
            }
            Step::Work { at_once: false } => self.stage.work().await,
            Step::KilledWork(after_ms) => {
                let batches = self.stage.send_queue.take_batches();
                let passes = join_all(batches.into_iter().map(|batch| self.stage.send(batch)));
                let _killed = tokio::time::timeout(Duration::from_millis(after_ms), passes).await;
                // What was on its way arrives.
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            Step::Sweep => self.stage.dispatcher.sweep(|| true).await.unwrap(),
            Step::Purge => drop((
                self.stage.send_queue.take(),
                self.stage.recheck_queue.take(),
            )),
            Step::Wait(seconds) => self
                .stage
                .db
                .clock
                .advance(Duration::from_secs(seconds.into())),
        }
    }

    /// Checks that no more was accepted than the budget allows.
    fn check(&self, step: Step) -> Result<(), TestCaseError> {
        if let Some(budget) = &self.budget {
            let sent = self.accepted() - budget.before;
            prop_assert!(
                sent <= budget.most,
                "{} of {} after {:?}",
                sent,
                budget.most,
                step
            );
        }
        Ok(())
    }

    /// Raises the budget, and runs until nothing waits: each recipient was sent to.
    async fn finish(&mut self) -> Result<(), TestCaseError> {
        self.set_budget(ENOUGH).await;
        for _ in 0..60 {
            self.execute(Step::Resume).await;
            // Passes that were killed may have parked a batch.
            let retry = format!("/v1/schedules/{}/retry", self.id);
            self.call(Method::POST, &retry, &Value::Null).await;
            self.stage
                .db
                .clock
                .advance(INVOCATION + Duration::from_secs(60));
            self.stage.dispatcher.sweep(|| true).await.unwrap();
            self.stage.work().await;
            if fixture::count(&self.stage.db, self.id, "PENDING").await == 0 {
                break;
            }
        }
        let lines = fixture::recipients(&self.stage.db, self.id).await;
        let left = lines.iter().filter(|line| line.contains("PENDING")).count();
        prop_assert_eq!(left, 0, "{:?}", lines);
        Ok(())
    }
}

/// Creates a key with the permissions of the calls, of which the API grants `money` to no key.
async fn administrator(app: &App) -> HeaderValue {
    let request = KeyRequest {
        name: "admin".to_owned(),
        permissions: vec![
            Permission::SchedulesRead,
            Permission::SchedulesWrite,
            Permission::AttentionWrite,
            Permission::Money,
        ],
        ..KeyRequest::default()
    };
    let (row, key) = new_key(&request, "test".to_owned(), app.db.now());
    let mut connection = app.db.acquire().await.unwrap();
    insert_api_key(&mut connection, &row, &hash_token(&key))
        .await
        .unwrap();
    HeaderValue::try_from(format!("Bearer {key}")).unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn no_sequence_of_calls_sends_beyond_a_budget(pool: MySqlPool) {
    let handle = tokio::runtime::Handle::current();
    let run = move || {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 24,
            max_shrink_iters: 100,
            failure_persistence: None,
            ..Default::default()
        });
        let steps = proptest::collection::vec(step(), 5..20);
        runner.run(&(0_u64..20, steps), |(amount, steps)| {
            handle.block_on(async {
                let mut machine = Machine::new(&pool).await;
                machine.execute(Step::SetBudget(amount)).await;
                machine.execute(Step::Wait(3)).await;
                machine.execute(Step::Sweep).await;
                for step in steps {
                    machine.execute(step).await;
                    machine.check(step)?;
                }
                machine.finish().await
            })
        })
    };
    if let Err(error) = tokio::task::spawn_blocking(run).await.unwrap() {
        panic!("{error}");
    }
}
