//! The constraints of the tables, on each server that the tests run on.
#![allow(missing_docs, clippy::unwrap_used)]

use sqlx::{
    MySqlPool,
    error::{DatabaseError, ErrorKind},
};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_column_has_a_comment(pool: MySqlPool) {
    let sql = "SELECT CONCAT(table_name, '.', column_name) FROM information_schema.columns
        WHERE table_schema = DATABASE() AND column_comment = '' AND table_name <> '_sqlx_migrations'";
    let bare: Vec<String> = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
    assert_eq!(bare, Vec::<String>::new());
    let columns = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()";
    let columns: i64 = sqlx::query_scalar(columns).fetch_one(&pool).await.unwrap();
    assert!(columns > 60, "the tables exist: {columns}");
}

/// The values of a row, which replace each `{}` of its INSERT from left to right, and what it
/// shows.
type Row = (&'static [&'static str], &'static str);

const INSERT_SCHEDULE: &str = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s,
      max_resends, resend_within_s, on_uncertain, created_at, batch_count, dispatched_at, paused_at, finished_at)
    VALUES (UNHEX(REPLACE(UUID(), '-', '')), {}, 'x', 1, '2030-01-01', '+00:00', 60, 2, 60, 'hold', '2030-01-01', {})";

const CONSISTENT_SCHEDULES: [Row; 2] = [
    (&["'scheduled'", "NULL, NULL, NULL, NULL"], "waits"),
    (&["'running'", "1, '2030-01-01', NULL, NULL"], "cut"),
];

const CONTRADICTORY_SCHEDULES: [Row; 5] = [
    (
        &["'running'", "NULL, NULL, NULL, NULL"],
        "running without batches: no sweep would find it",
    ),
    (
        &["'scheduled'", "1, '2030-01-01', NULL, NULL"],
        "cut before it is due",
    ),
    (
        &["'paused'", "NULL, NULL, NULL, NULL"],
        "paused without a time",
    ),
    (
        &["'finished'", "1, '2030-01-01', NULL, NULL"],
        "finished without a time",
    ),
    (&["'sent'", "NULL, NULL, NULL, NULL"], "an unknown status"),
];

const INSERT_RECIPIENT: &str =
    "INSERT INTO recipients (schedule_id, seq, phone, status, attempt, sent_at, final_at, id_start)
    VALUES (UNHEX(REPLACE(UUID(), '-', '')), 1, {})";

const CONSISTENT_RECIPIENTS: [Row; 3] = [
    (&["'+60123456789', 'PENDING', 0, NULL, NULL, NULL"], "waits"),
    (
        &["'+60123456789', 'DELIVRD', 1, '2030-01-01', '2030-01-01', 'id'"],
        "delivered",
    ),
    (
        &["NULL, 'INVALID', 0, NULL, '2030-01-01', NULL"],
        "invalid without a number",
    ),
];

const CONTRADICTORY_RECIPIENTS: [Row; 7] = [
    (
        &["'+60123456789', 'DELIVRD', 1, '2030-01-01', NULL, 'id'"],
        "final without a time",
    ),
    (
        &["'+60123456789', 'ENROUTE', 1, '2030-01-01', '2030-01-01', 'id'"],
        "not final, with a final time",
    ),
    (
        &["'+60123456789', 'ACCEPTD', 1, '2030-01-01', NULL, NULL"],
        "accepted without an id: the carrier cannot be asked",
    ),
    (
        &["'+60123456789', 'SENDING', 0, NULL, NULL, NULL"],
        "sending without an attempt",
    ),
    (
        &["'+60123456789', 'PENDING', 1, NULL, NULL, NULL"],
        "an attempt without a time",
    ),
    (
        &["NULL, 'PENDING', 0, NULL, NULL, NULL"],
        "pending without a number",
    ),
    (
        &["'+60123456789', 'delivered', 0, NULL, NULL, NULL"],
        "an unknown status",
    ),
];

const INSERT_BATCH: &str = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, send_at, check_at,
      sweep_at, claim_token, claimed_until)
    VALUES (UNHEX(REPLACE(UUID(), '-', '')), 1, {}, {}, '2030-01-01', {})";

const CONSISTENT_BATCHES: [Row; 2] = [
    (
        &["1", "5", "'2030-01-01', NULL, '2030-01-01', NULL, NULL"],
        "to be sent",
    ),
    (&["1", "5", "NULL, NULL, NULL, NULL, NULL"], "done"),
];

const CONTRADICTORY_BATCHES: [Row; 3] = [
    (
        &["5", "1", "NULL, NULL, NULL, NULL, NULL"],
        "a range that ends before its start",
    ),
    (
        &["1", "5", "'2030-01-01', NULL, NULL, NULL, NULL"],
        "due, but invisible to the sweep",
    ),
    (
        &[
            "1",
            "5",
            "NULL, NULL, '2030-01-01', UNHEX(REPLACE(UUID(), '-', '')), NULL",
        ],
        "a claim without an end",
    ),
];

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_contradictory_schedule_is_refused(pool: MySqlPool) {
    assert_accepted(&pool, INSERT_SCHEDULE, &CONSISTENT_SCHEDULES).await;
    assert_refused(&pool, INSERT_SCHEDULE, &CONTRADICTORY_SCHEDULES).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_contradictory_recipient_is_refused(pool: MySqlPool) {
    assert_accepted(&pool, INSERT_RECIPIENT, &CONSISTENT_RECIPIENTS).await;
    assert_refused(&pool, INSERT_RECIPIENT, &CONTRADICTORY_RECIPIENTS).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_contradictory_batch_is_refused(pool: MySqlPool) {
    assert_accepted(&pool, INSERT_BATCH, &CONSISTENT_BATCHES).await;
    assert_refused(&pool, INSERT_BATCH, &CONTRADICTORY_BATCHES).await;
}

async fn assert_accepted(pool: &MySqlPool, insert: &str, rows: &[Row]) {
    for (values, what) in rows {
        let result = execute(pool, insert, values).await;
        assert!(result.is_ok(), "{what}: {result:?}");
    }
}

async fn assert_refused(pool: &MySqlPool, insert: &str, rows: &[Row]) {
    for (values, what) in rows {
        let result = execute(pool, insert, values).await;
        let refusal = result
            .as_ref()
            .err()
            .and_then(sqlx::Error::as_database_error)
            .map(DatabaseError::kind);
        assert!(
            matches!(refusal, Some(ErrorKind::CheckViolation)),
            "{what}: {result:?}"
        );
    }
}

async fn execute(pool: &MySqlPool, insert: &str, values: &[&str]) -> sqlx::Result<()> {
    let sql = values
        .iter()
        .fold(insert.to_owned(), |sql, value| sql.replacen("{}", value, 1));
    sqlx::query(&sql).execute(pool).await.map(drop)
}
