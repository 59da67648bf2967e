//! Changes of the rate of a schedule after its cut: the planned times of its batches.

use std::sync::atomic::Ordering;

use crate::common::{Api, count, rows};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

/// Returns the milliseconds from now to the planned time of each batch, and checks that its due
/// times agree with it.
async fn plan(pool: &MySqlPool, id: Uuid) -> Vec<i64> {
    let sql = "SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), planned_at) DIV 1000, send_at IS NULL OR claim_token IS NOT NULL OR tries > 0 OR planned_at = send_at, waiting = 1 OR claim_token IS NOT NULL OR sweep_at <= GREATEST(send_at, UTC_TIMESTAMP(3))
        FROM batches WHERE schedule_id = ? ORDER BY batch_no";
    let rows: Vec<(i64, bool, Option<bool>)> =
        sqlx::query_as(sql).bind(id).fetch_all(pool).await.unwrap();
    assert!(
        rows.iter()
            .all(|(_, same, early)| *same && early.unwrap_or(true)),
        "{rows:?}"
    );
    rows.into_iter().map(|(wait, ..)| wait).collect()
}

/// Compares planned times with a tolerance of five seconds.
fn assert_near(plan: &[i64], expected: &[i64]) {
    let near = plan.len() == expected.len()
        && plan
            .iter()
            .zip(expected)
            .all(|(one, other)| (one - other).abs() < 5_000);
    assert!(near, "{plan:?} is not {expected:?}");
}

const HOUR_MS: i64 = 3_600_000;

/// Creates a schedule that has been running for one hour, with six batches. In this order: sent,
/// owned, waiting for its backoff, due, and two planned for later.
async fn running_schedule(api: &Api, pool: &MySqlPool) -> Uuid {
    let id = rows::cut(api, pool, 6).await;
    let run_at = "run_at = UTC_TIMESTAMP(3) - INTERVAL 3600 SECOND";
    rows::schedule(pool, id, run_at).await;
    let due = "send_at = planned_at, sweep_at = planned_at";
    let sent = "pending = 0, delivrd = 5, check_at = now(60), sweep_at = now(60)";
    for (no, row) in [
        (1, sent.to_owned()),
        (2, format!("{due}, claim(60)")),
        (3, format!("planned_at = now(50), {due}, tries = 2")),
        (4, due.to_owned()),
        (5, format!("planned_at = now(9000), {due}")),
        (6, format!("planned_at = now(9900), {due}")),
    ] {
        rows::batch(pool, id, no, &row).await;
    }
    id
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_rate_of_a_running_schedule_can_be_changed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = running_schedule(&api, &pool).await;
    let past = -HOUR_MS;
    assert_near(
        &plan(&pool, id).await,
        &[past, past, 50_000, past, 9_000_000, 9_900_000],
    );
    // One message per second and five per batch: five seconds between batches.
    let changed = api.patch(id, &json!({"rate": 1})).await;
    assert_eq!(
        (
            changed.status,
            &changed.body["rate"],
            &changed.body["changeable_until"]
        ),
        (StatusCode::OK, &json!(1), &Value::Null)
    );
    assert_near(
        &plan(&pool, id).await,
        &[past, past, 50_000, 0, 5_000, 10_000],
    );
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 1);
    assert_eq!(
        api.patch(id, &json!({"rate": null})).await.status,
        StatusCode::OK
    );
    assert_near(&plan(&pool, id).await, &[past, past, 50_000, 0, 0, 0]);
    let refused = api.patch(id, &json!({"rate": 2, "message": "Other"})).await;
    assert_eq!(refused.problem(), "schedule-begun");
    rows::schedule(&pool, id, "status = 'cancelled'").await;
    assert_eq!(
        api.patch(id, &json!({"rate": 2})).await.problem(),
        "schedule-begun"
    );
}

/// A paused schedule is planned from the start of the pause; the resume adds the length of the
/// pause.
#[sqlx::test(migrator = "MIGRATOR")]
async fn the_rate_of_a_paused_schedule_can_be_changed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = running_schedule(&api, &pool).await;
    let pause = "status = 'paused', paused_at = UTC_TIMESTAMP(3) - INTERVAL 1000 SECOND";
    rows::schedule(&pool, id, pause).await;
    assert_eq!(
        api.patch(id, &json!({"rate": 1})).await.status,
        StatusCode::OK
    );
    assert_near(
        &plan(&pool, id).await[3..],
        &[-1_000_000, -995_000, -990_000],
    );
    assert_eq!(api.post_step(id, "resume").await.status, StatusCode::OK);
    assert_near(&plan(&pool, id).await[3..], &[0, 5_000, 10_000]);
}

/// A schedule is cut before its `run_at`. A new rate in between plans no batch earlier than `run_at`.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_new_rate_never_plans_a_batch_before_run_at(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 2).await;
    for no in 1..=2 {
        rows::batch(
            &pool,
            id,
            no,
            "planned_at = now(80), send_at = planned_at, sweep_at = planned_at",
        )
        .await;
    }
    rows::schedule(&pool, id, "run_at = UTC_TIMESTAMP(3) + INTERVAL 80 SECOND").await;
    assert_eq!(
        api.patch(id, &json!({"rate": 5})).await.status,
        StatusCode::OK
    );
    let early = "SELECT COUNT(*) FROM batches b JOIN schedules s ON s.id = b.schedule_id WHERE b.send_at < s.run_at OR b.planned_at < s.run_at";
    assert_eq!(count(&pool, early).await, 0);
}
