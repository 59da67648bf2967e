//! Missed schedules and held batches: sent now or cancelled.

use std::sync::atomic::Ordering;

use crate::common::{
    Api, phones,
    states::{cut, dues, execute, put_in_state},
};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::json;
use shared::platform::{db::MIGRATOR, queue::DispatchMessage};
use sqlx::MySqlPool;
use uuid::Uuid;

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_missed_schedule_can_be_sent_now_or_cancelled(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..10)).await;
    put_in_state(&pool, id, "missed").await;
    execute(
        &pool,
        id,
        "UPDATE schedules SET run_at = '2020-01-01' WHERE id = ?",
    )
    .await;
    let answer = api.post_step(id, "send-now").await.body;
    assert_eq!(
        (&answer["status"], &answer["version"], &answer["batches"]),
        (&json!("scheduled"), &json!(2), &json!(0))
    );
    let run_at = DateTime::parse_from_rfc3339(answer["run_at"].as_str().unwrap())
        .unwrap()
        .to_utc();
    assert!((Utc::now() - run_at).num_seconds().abs() < 5);
    assert_eq!(
        *api.fakes.queued.lock().unwrap(),
        [DispatchMessage {
            schedule_id: id,
            version: 2
        }]
    );
    let again = api.post_step(id, "send-now").await;
    assert_eq!(again.problem(), "wrong-state");

    let id = api.schedule(&phones(0..10)).await;
    put_in_state(&pool, id, "missed").await;
    assert_eq!(
        api.post_step(id, "cancel").await.body["status"],
        "cancelled"
    );
    assert_eq!(
        api.fakes.queued.lock().unwrap()[1],
        DispatchMessage {
            schedule_id: id,
            version: 1
        }
    );
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 0);
}

/// Holds the two batches of a schedule, and adds a third held batch, due for its release, and one
/// that is not held.
async fn hold_batches(pool: &MySqlPool, id: Uuid, state: &str) {
    put_in_state(pool, id, state).await;
    if state == "running" {
        cut(pool, id).await;
        let hold = "UPDATE batches SET missed_at = UTC_TIMESTAMP(3), send_at = NULL, check_at = sweep_at WHERE schedule_id = ?";
        execute(pool, id, hold).await;
    }
    for values in [
        "3, 20, 20, planned_at, NULL, NULL, NULL, missed_at, 5, 5",
        "4, 30, 30, planned_at, sweep_at, NULL, sweep_at, NULL, 5, 5",
    ] {
        let sql = format!(
            "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, send_at, check_at, sweep_at, missed_at, tries,
               pending) SELECT schedule_id, {values} FROM batches WHERE schedule_id = ? AND batch_no = 1"
        );
        execute(pool, id, &sql).await;
    }
}

/// Three held batches, of which one is claimed, and one batch that is not held.
#[sqlx::test(migrator = "MIGRATOR")]
async fn held_batches_become_due_at_once_and_a_claimed_one_at_its_release(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let sent_now = [
        "- now later later now 0",
        "- - later later now 0",
        "- now - later now 0",
        "- later - later later 5",
    ];
    let cancelled = [
        "- now later later later 0",
        "- - later now later 0",
        "- now - later later 5",
        "- now - later later 5",
    ];
    for (state, step, status, expected) in [
        ("running", "send-now", "running", sent_now),
        ("missed, cut", "send-now", "running", sent_now),
        ("running", "cancel", "cancelled", cancelled),
        ("missed, cut", "cancel", "cancelled", cancelled),
    ] {
        let id = api.schedule(&phones(0..10)).await;
        hold_batches(&pool, id, state).await;
        let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
        assert_eq!(
            shown["attention"],
            json!({"kinds": ["missed"], "missed_batches": 3, "parked_batches": 0, "uncertain": 0})
        );
        let answer = api.post_step(id, step).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["attention"]["missed_batches"], 0);
        assert_eq!(answer.body["status"], status, "{state} {step}");
        if step == "send-now" {
            assert_eq!(answer.body["batches"], 3);
        }
        for (no, line) in (1..).zip(expected) {
            assert_eq!(dues(&pool, id, no).await, line, "{state} {step} {no}");
        }
    }
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 4);
}
