//! The rows on which the statements are explained.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

/// The beginning of a statement that inserts one row per number `n` from 1 to 900.
pub const NUMBERS: &str =
    "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 900) SELECT";

/// Inserts twenty schedules of 2,000 recipients in 100 batches each, half of the batches done, half
/// waiting, a few due; and 200 schedules that are not cut yet. Returns the ids of the twenty.
pub async fn insert_schedules(pool: &MySqlPool) -> Vec<Uuid> {
    let now = Utc::now();
    let schedules: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    for (n, id) in schedules.iter().enumerate() {
        let status = ["running", "cancelled", "finished", "running"][n % 4];
        insert_cut_schedule(pool, *id, status, now).await;
        insert_recipients_and_batches(pool, *id, now).await;
    }
    for n in 0..200 {
        let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s,
              max_resends, resend_within_s, on_uncertain, created_at)
            VALUES (?, 'scheduled', 'x', 1, ?, '+00:00', 3600, 2, 21600, 'hold', ?)";
        let insert = sqlx::query(sql)
            .bind(Uuid::now_v7())
            .bind(now + TimeDelta::minutes(n))
            .bind(now);
        insert.execute(pool).await.unwrap();
    }
    analyze(pool, "schedules, recipients, batches, attempts").await;
    schedules
}

async fn insert_cut_schedule(pool: &MySqlPool, id: Uuid, status: &str, now: DateTime<Utc>) {
    let finished_at = (status == "finished").then_some(now);
    let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends,
          resend_within_s, on_uncertain, next_seq, recipient_count, batch_count, dispatched_by, dispatched_at,
          finished_at, created_at)
        VALUES (?, ?, 'x', 1, ?, '+00:00', 3600, 2, 21600, 'hold', 2001, 2000, 100, 'queue', ?, ?, ?)";
    let insert = sqlx::query(sql)
        .bind(id)
        .bind(status)
        .bind(now)
        .bind(now)
        .bind(finished_at)
        .bind(now);
    insert.execute(pool).await.unwrap();
}

async fn insert_recipients_and_batches(pool: &MySqlPool, id: Uuid, now: DateTime<Utc>) {
    let seqs = numbers_to_2000();
    let sql = "INSERT INTO recipients (schedule_id, seq, phone, status, attempt, sent_at, id_start)
        SELECT ?, j.n, CONCAT('+6012', 1000000 + j.n), IF(j.n % 2, 'ACCEPTD', 'SENDING'), 1, ?, 'm'
        FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j";
    let insert = sqlx::query(sql).bind(id).bind(now).bind(&seqs);
    insert.execute(pool).await.unwrap();
    let sql = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, check_at, sweep_at)
        SELECT ?, j.n, j.n * 20 - 19, j.n * 20, ?, IF(j.n % 2, ?, NULL), IF(j.n % 2, ? + INTERVAL j.n MINUTE, NULL)
        FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j WHERE j.n <= 100";
    let insert = sqlx::query(sql)
        .bind(id)
        .bind(now)
        .bind(now)
        .bind(now - TimeDelta::minutes(2))
        .bind(&seqs);
    insert.execute(pool).await.unwrap();
}

/// The numbers from 1 to 2,000 as a JSON array.
pub fn numbers_to_2000() -> String {
    serde_json::to_string(&(1..=2000).collect::<Vec<u32>>()).unwrap()
}

/// Executes a statement without values.
pub async fn execute(pool: &MySqlPool, sql: &str) {
    sqlx::query(sql).execute(pool).await.unwrap();
}

/// Updates the statistics of tables, from which the server chooses the keys.
pub async fn analyze(pool: &MySqlPool, tables: &str) {
    let sql = format!("ANALYZE TABLE {tables}");
    sqlx::raw_sql(&sql).execute(pool).await.unwrap();
}
