//! A canary, with the API and all workers: only its recipients are sent to until enough of them are
//! DELIVRD; if too few are, nothing else is sent until somebody resumes the schedule.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod gate;

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::{
    batch::canary::decide_canary,
    platform::queue::{BatchMessage, DispatchMessage},
    schedule::canary::CanaryOutcome,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};
use uuid::Uuid;

const MIGRATOR: &sqlx::migrate::Migrator = &shared::platform::db::MIGRATOR;

struct Canary {
    stage: Stage,
    api: gate::Api,
    id: Uuid,
}

impl Canary {
    /// Creates a schedule of 20 recipients with a canary of seven, of whom nine tenths have to be
    /// DELIVRD within ten minutes; `more` has further fields. It is cut: the canary is on the queue.
    async fn new(pool: MySqlPool, settings: Settings, more: Value) -> Self {
        let stage = Stage::new(pool, settings).await;
        fixture::reset_carrier(&stage.db).await;
        let api = gate::Api::new(&stage).await;
        let run_at = (stage.db.now() + TimeDelta::seconds(60)).to_rfc3339();
        let mut body = json!({"run_at": run_at, "message": "Hello", "recipients": gate::phones(1..=20), "max_attempts": 1,
            "canary": {"recipients": 7}});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let id = api.create(&body).await;
        stage.db.clock.advance(Duration::from_secs(60));
        let canary = Self { stage, api, id };
        canary.dispatch().await;
        canary
    }

    async fn dispatch(&self) {
        let version: u32 = self.column("version").await;
        let message = DispatchMessage {
            schedule_id: self.id,
            version,
        };
        let by = dispatch::DispatchedBy::Queue;
        self.stage.dispatcher.dispatch(message, by).await.unwrap();
    }

    async fn column<T>(&self, name: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::MySql> + sqlx::Type<sqlx::MySql>,
    {
        let sql = format!("SELECT {name} FROM schedules WHERE id = ?");
        sqlx::query_scalar(&sql)
            .bind(self.id)
            .fetch_one(&self.stage.db)
            .await
            .unwrap()
    }

    async fn sweep(&self) {
        self.stage.dispatcher.sweep(|| true).await.unwrap();
    }

    async fn shown(&self) -> Value {
        gate::get(&self.api.app, &format!("/v1/schedules/{}", self.id)).await
    }

    async fn step(&self, step: &str) -> Value {
        let path = format!("/v1/schedules/{}/{step}", self.id);
        self.api.post(&path, &json!({})).await
    }

    /// Sends what is on the queue, and asks for its statuses once they are due.
    async fn work(&self) {
        for batch in self.stage.send_queue.take_batches() {
            self.stage.send(batch).await;
        }
        self.stage.db.clock.advance(Duration::from_secs(60));
        self.stage.work().await;
    }

    fn accepted(&self) -> usize {
        let acceptances = self.stage.acceptances();
        assert!(
            acceptances.iter().all(|(_, times)| *times == 1),
            "twice: {acceptances:?}"
        );
        acceptances.len()
    }

    const fn batch(&self, batch_no: u32) -> BatchMessage {
        BatchMessage {
            schedule_id: self.id,
            batch_no,
        }
    }
}

/// Returns a carrier at which messages to the first recipients end UNDELIV.
fn failing(recipients: u32) -> Settings {
    Settings {
        undeliv_prefixes: (1..=recipients).map(fixture::phone).collect(),
        ..Settings::default()
    }
}

/// Returns a carrier whose statuses never become final.
fn silent() -> Settings {
    Settings {
        stuck: 1.0,
        ..Settings::default()
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_rest_is_sent_when_the_canary_is_delivered(pool: MySqlPool) {
    let canary = Canary::new(pool, Settings::default(), json!({})).await;
    let queued = canary.stage.send_queue.take_batches();
    let numbers: Vec<_> = queued.iter().map(|batch| batch.batch_no).collect();
    assert_eq!(numbers, [1, 2], "five recipients and two");
    // A message that names a batch behind the canary, and sweeps, find nothing to do.
    canary.stage.send(canary.batch(3)).await;
    canary.sweep().await;
    assert_eq!(
        (
            canary.accepted(),
            canary.stage.send_queue.take_batches().len()
        ),
        (0, 0)
    );
    let shown = canary.shown().await;
    assert_eq!(
        (&shown["canary"]["state"], &shown["canary"]["undecided"]),
        (&json!("waiting"), &json!(7))
    );
    for batch in queued {
        canary.stage.send(batch).await;
    }
    canary.sweep().await;
    assert_eq!(canary.accepted(), 7);
    assert!(
        canary.stage.send_queue.take_batches().is_empty(),
        "not decided yet"
    );
    canary.stage.play().await;
    canary.sweep().await;
    canary.stage.play().await;
    let shown = canary.shown().await;
    assert_eq!(
        (
            &shown["status"],
            &shown["canary"]["state"],
            &shown["canary"]["delivered"]
        ),
        (&json!("finished"), &json!("passed"), &json!(7))
    );
    assert_eq!(
        (canary.accepted(), shown["counts"]["DELIVRD"].as_u64()),
        (20, Some(20))
    );
    assert_eq!(canary.column::<Option<u32>>("held_after").await, None);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_canary_that_fails_pauses_the_schedule_and_nothing_else_is_sent(pool: MySqlPool) {
    let canary = Canary::new(pool, failing(1), json!({})).await;
    canary.work().await;
    let shown = canary.shown().await;
    // Seven times 0.9 is 6.3, so each of the seven is needed: the first failure decides.
    let reason = "canary: 4 of 7 delivered, 1 failed, 2 open; 7 needed";
    assert_eq!(
        (&shown["status"], &shown["pause_reason"]),
        (&json!("paused"), &json!(reason))
    );
    assert_eq!(
        (&shown["canary"]["state"], &shown["attention"]["kinds"]),
        (&json!("failed"), &json!(["paused"]))
    );
    for _ in 0..3 {
        canary.sweep().await;
        canary.stage.play().await;
    }
    assert_eq!(canary.accepted(), 7, "nothing behind the canary");
    let resumed = canary.step("resume").await;
    assert_eq!(
        (&resumed["status"], &resumed["canary"]["state"]),
        (&json!("running"), &json!("released"))
    );
    canary.sweep().await;
    canary.stage.play().await;
    canary.sweep().await;
    canary.stage.play().await;
    assert_eq!(canary.accepted(), 20);
    assert_eq!(canary.shown().await["status"], "finished");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_carrier_without_reports_in_time_fails_the_canary(pool: MySqlPool) {
    let canary = Canary::new(pool, silent(), json!({})).await;
    canary.work().await;
    let shown = canary.shown().await;
    assert_eq!(
        (&shown["status"], &shown["canary"]["state"]),
        (&json!("running"), &json!("waiting"))
    );
    assert!(shown["canary"]["deadline"].is_string(), "all of it is sent");
    canary.stage.db.clock.advance(Duration::from_secs(480));
    canary.sweep().await;
    assert_eq!(
        canary.shown().await["status"],
        "running",
        "a minute is left"
    );
    canary.stage.db.clock.advance(Duration::from_secs(120));
    canary.sweep().await;
    let shown = canary.shown().await;
    let reason = "canary: 0 of 7 delivered after 600 s, 0 failed, 7 open; 7 needed";
    assert_eq!(
        (&shown["status"], &shown["pause_reason"]),
        (&json!("paused"), &json!(reason))
    );
    assert_eq!(canary.accepted(), 7);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_crash_behind_the_decision_loses_nobody(pool: MySqlPool) {
    let canary = Canary::new(pool, Settings::default(), json!({})).await;
    for batch in canary.stage.send_queue.take_batches() {
        canary.stage.send(batch).await;
    }
    let delivered = "UPDATE recipients SET status = 'DELIVRD', final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ? AND seq <= 7";
    sqlx::query(delivered)
        .bind(canary.id)
        .execute(&canary.stage.db)
        .await
        .unwrap();
    // Two workers decide at once; the process that does ends before it admits anything.
    let db = &canary.stage.db;
    let (one, other) = tokio::join!(decide_canary(db, canary.id), decide_canary(db, canary.id));
    let decided = [one.unwrap(), other.unwrap()];
    let outcomes: Vec<_> = decided
        .iter()
        .flatten()
        .map(|decided| decided.outcome)
        .collect();
    assert_eq!(outcomes, [CanaryOutcome::Passed]);
    assert!(canary.stage.send_queue.take_batches().is_empty());
    canary.sweep().await;
    canary.stage.play().await;
    canary.sweep().await;
    canary.stage.play().await;
    assert_eq!(
        (canary.accepted(), canary.shown().await["status"].as_str()),
        (20, Some("finished"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_cancel_closes_what_is_held(pool: MySqlPool) {
    let canary = Canary::new(pool, silent(), json!({})).await;
    canary.stage.work().await;
    canary.step("cancel").await;
    canary.sweep().await;
    canary.stage.work().await;
    canary.sweep().await;
    canary.stage.work().await;
    let shown = canary.shown().await;
    assert_eq!(
        (
            &shown["status"],
            &shown["counts"]["CANCELLED"],
            &shown["counts"]["PENDING"]
        ),
        (&json!("cancelled"), &json!(13), &json!(0))
    );
    assert_eq!(canary.accepted(), 7);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_end_of_the_schedule_closes_what_is_held(pool: MySqlPool) {
    let canary = Canary::new(pool, silent(), json!({"send_within_s": 300})).await;
    canary.stage.work().await;
    canary.stage.db.clock.advance(Duration::from_secs(301));
    canary.sweep().await;
    canary.stage.work().await;
    canary.sweep().await;
    canary.stage.work().await;
    let shown = canary.shown().await;
    assert_eq!(
        (&shown["canary"]["state"], &shown["counts"]["EXPIRED"]),
        (&json!("ended"), &json!(13))
    );
    assert_eq!(canary.accepted(), 7);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_pause_of_a_person_releases_nothing(pool: MySqlPool) {
    let canary = Canary::new(pool, Settings::default(), json!({})).await;
    let queued = canary.stage.send_queue.take_batches();
    canary.step("pause").await;
    for batch in queued {
        canary.stage.send(batch).await;
    }
    assert!(
        decide_canary(&canary.stage.db, canary.id)
            .await
            .unwrap()
            .is_none()
    );
    canary.step("resume").await;
    canary.sweep().await;
    let queued = canary.stage.send_queue.take_batches();
    let numbers: Vec<_> = queued.iter().map(|batch| batch.batch_no).collect();
    assert_eq!((canary.accepted(), numbers), (0, vec![1, 2]));
    for batch in queued {
        canary.stage.send(batch).await;
    }
    canary.stage.play().await;
    canary.sweep().await;
    canary.stage.play().await;
    assert_eq!(
        (
            canary.accepted(),
            canary.shown().await["canary"]["state"].as_str()
        ),
        (20, Some("passed"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_late_receipt_changes_no_decision(pool: MySqlPool) {
    let canary = Canary::new(pool, failing(1), json!({})).await;
    canary.work().await;
    let delivered = "UPDATE recipients SET status = 'DELIVRD' WHERE schedule_id = ? AND seq = 1";
    sqlx::query(delivered)
        .bind(canary.id)
        .execute(&canary.stage.db)
        .await
        .unwrap();
    canary.sweep().await;
    let shown = canary.shown().await;
    assert_eq!(
        (&shown["status"], &shown["canary"]["state"]),
        (&json!("paused"), &json!("failed"))
    );
    assert_eq!(shown["canary"]["delivered"], 4, "as it was decided");
    assert_eq!(canary.accepted(), 7);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_list_that_is_no_longer_than_its_canary_is_sent_at_once(pool: MySqlPool) {
    let more = json!({"canary": {"recipients": 20, "delivered_share": 1}});
    let canary = Canary::new(pool, failing(3), more).await;
    canary.stage.play().await;
    canary.sweep().await;
    canary.stage.play().await;
    let shown = canary.shown().await;
    assert_eq!(
        (canary.accepted(), &shown["status"]),
        (20, &json!("finished"))
    );
    assert_eq!(canary.column::<Option<u32>>("held_after").await, None);
}
