//! Schedules of ten recipients in each state, as the workers leave them.

use chrono::{DateTime, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

/// Executes a statement on a schedule.
pub async fn execute(pool: &MySqlPool, id: Uuid, sql: &str) {
    sqlx::query(sql).bind(id).execute(pool).await.unwrap();
}

/// Puts a schedule of ten recipients into a state, as the workers would.
pub async fn put_in_state(pool: &MySqlPool, id: Uuid, status: &str) {
    let done = "batch_count = 2, dispatched_at = UTC_TIMESTAMP(3), dispatched_by = 'queue'";
    let assignments = match status {
        "draft" | "awaiting-approval" | "scheduled" | "missed" => "batch_count = NULL".to_owned(),
        "paused" => "paused_at = UTC_TIMESTAMP(3) - INTERVAL 60 SECOND, pause_reason = 'HTTP 401'"
            .to_owned(),
        "paused, cut" => format!("paused_at = UTC_TIMESTAMP(3) - INTERVAL 60 SECOND, {done}"),
        "finished" => format!("finished_at = UTC_TIMESTAMP(3), {done}"),
        _ => done.to_owned(),
    };
    if status == "running, missed" || status == "missed, cut" {
        cut(pool, id).await;
        execute(pool, id, "UPDATE batches SET missed_at = UTC_TIMESTAMP(3), send_at = NULL, check_at = sweep_at WHERE schedule_id = ?")
            .await;
    }
    let status = status.split(',').next().unwrap();
    execute(
        pool,
        id,
        &format!("UPDATE schedules SET status = '{status}', {assignments} WHERE id = ?"),
    )
    .await;
}

/// Inserts two batches of five recipients, planned for 2031. The second is claimed.
pub async fn cut(pool: &MySqlPool, id: Uuid) {
    for (no, first, claim) in [
        (1, 1, "NULL, NULL"),
        (2, 6, "UNHEX(REPEAT('0F', 16)), UTC_TIMESTAMP(3)"),
    ] {
        let values = format!("?, {no}, {first}, {first} + 4, 5, @t, @t, @t, {claim}");
        let sql = format!(
            "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, pending, planned_at, send_at, sweep_at, claim_token,
               claimed_until) VALUES ({})",
            values.replace("@t", "TIMESTAMP('2031-01-01 00:00:00')")
        );
        execute(pool, id, &sql).await;
    }
}

/// Returns `planned_at`, `send_at` and `sweep_at` of a batch.
pub async fn times(
    pool: &MySqlPool,
    id: Uuid,
    no: u32,
) -> (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>) {
    let sql =
        "SELECT planned_at, send_at, sweep_at FROM batches WHERE schedule_id = ? AND batch_no = ?";
    sqlx::query_as(sql)
        .bind(id)
        .bind(no)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Returns a batch as a line: whether it is held, then `send_at check_at sweep_at planned_at` as
/// now or later, then its tries.
pub async fn dues(pool: &MySqlPool, id: Uuid, no: u32) -> String {
    let sql = "SELECT CONCAT_WS(' ', IF(missed_at IS NULL, '-', 'held'),
          CASE WHEN send_at IS NULL THEN '-' WHEN send_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END,
          CASE WHEN check_at IS NULL THEN '-' WHEN check_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END,
          CASE WHEN sweep_at IS NULL THEN '-' WHEN sweep_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END,
          CASE WHEN planned_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END, tries)
        FROM batches WHERE schedule_id = ? AND batch_no = ?";
    sqlx::query_scalar(sql)
        .bind(id)
        .bind(no)
        .fetch_one(pool)
        .await
        .unwrap()
}
