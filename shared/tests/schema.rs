//! What the tables themselves refuse, on every server that the tests run on.
#![allow(missing_docs, clippy::unwrap_used)]

use sqlx::{MySqlPool, error::ErrorKind};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn every_column_is_commented(pool: MySqlPool) {
    let sql = "SELECT CONCAT(table_name, '.', column_name) FROM information_schema.columns
        WHERE table_schema = DATABASE() AND column_comment = '' AND table_name <> '_sqlx_migrations'";
    let bare: Vec<String> = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
    assert_eq!(bare, Vec::<String>::new());
    let columns = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()";
    let columns: i64 = sqlx::query_scalar(columns).fetch_one(&pool).await.unwrap();
    assert!(columns > 60, "the tables are there: {columns}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn states_that_contradict_themselves_are_refused(pool: MySqlPool) {
    let schedule =
        "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s,
        on_uncertain, created_at, batch_count, dispatched_at, paused_at, finished_at)
        VALUES (UNHEX(REPLACE(UUID(), '-', '')), {}, 'x', 1, '2030-01-01', '+00:00', 60, 2, 60, 'hold', '2030-01-01', {})";
    let recipient = "INSERT INTO recipients (schedule_id, seq, phone, status, attempt, sent_at, final_at, message_id)
        VALUES (UNHEX(REPLACE(UUID(), '-', '')), 1, {})";
    let batch = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, send_at, check_at, sweep_at, claim_token, claimed_until)
        VALUES (UNHEX(REPLACE(UUID(), '-', '')), 1, {}, {}, '2030-01-01', {})";
    // Filled in from left to right; whether it is taken; why.
    let table: &[(&str, &[&str], bool, &str)] = &[
        (
            schedule,
            &["'scheduled'", "NULL, NULL, NULL, NULL"],
            true,
            "waits",
        ),
        (
            schedule,
            &["'running'", "1, '2030-01-01', NULL, NULL"],
            true,
            "cut",
        ),
        (
            schedule,
            &["'running'", "NULL, NULL, NULL, NULL"],
            false,
            "runs without batches: no sweep would find it",
        ),
        (
            schedule,
            &["'scheduled'", "1, '2030-01-01', NULL, NULL"],
            false,
            "cut before it is due",
        ),
        (
            schedule,
            &["'paused'", "NULL, NULL, NULL, NULL"],
            false,
            "paused since never",
        ),
        (
            schedule,
            &["'finished'", "1, '2030-01-01', NULL, NULL"],
            false,
            "finished at no time",
        ),
        (
            schedule,
            &["'sent'", "NULL, NULL, NULL, NULL"],
            false,
            "no such state",
        ),
        (
            recipient,
            &["'+60123456789', 'PENDING', 0, NULL, NULL, NULL"],
            true,
            "waits",
        ),
        (
            recipient,
            &["'+60123456789', 'DELIVRD', 1, '2030-01-01', '2030-01-01', 'id'"],
            true,
            "delivered",
        ),
        (
            recipient,
            &["NULL, 'INVALID', 0, NULL, '2030-01-01', NULL"],
            true,
            "no number",
        ),
        (
            recipient,
            &["'+60123456789', 'DELIVRD', 1, '2030-01-01', NULL, 'id'"],
            false,
            "final at no time",
        ),
        (
            recipient,
            &["'+60123456789', 'ENROUTE', 1, '2030-01-01', '2030-01-01', 'id'"],
            false,
            "not final, with a final time",
        ),
        (
            recipient,
            &["'+60123456789', 'ACCEPTD', 1, '2030-01-01', NULL, NULL"],
            false,
            "accepted without an id: nobody can ask",
        ),
        (
            recipient,
            &["'+60123456789', 'SENDING', 0, NULL, NULL, NULL"],
            false,
            "sending without an attempt",
        ),
        (
            recipient,
            &["'+60123456789', 'PENDING', 1, NULL, NULL, NULL"],
            false,
            "an attempt at no time",
        ),
        (
            recipient,
            &["NULL, 'PENDING', 0, NULL, NULL, NULL"],
            false,
            "nobody to send to",
        ),
        (
            recipient,
            &["'+60123456789', 'delivered', 0, NULL, NULL, NULL"],
            false,
            "no such state",
        ),
        (
            batch,
            &["1", "5", "'2030-01-01', NULL, '2030-01-01', NULL, NULL"],
            true,
            "to be sent",
        ),
        (
            batch,
            &["1", "5", "NULL, NULL, NULL, NULL, NULL"],
            true,
            "done",
        ),
        (
            batch,
            &["5", "1", "NULL, NULL, NULL, NULL, NULL"],
            false,
            "a range from its end",
        ),
        (
            batch,
            &["1", "5", "'2030-01-01', NULL, NULL, NULL, NULL"],
            false,
            "due, and out of the sweep's sight",
        ),
        (
            batch,
            &[
                "1",
                "5",
                "NULL, NULL, '2030-01-01', UNHEX(REPLACE(UUID(), '-', '')), NULL",
            ],
            false,
            "a claim without an end",
        ),
    ];
    for (sql, values, taken, why) in table {
        let sql = values
            .iter()
            .fold((*sql).to_owned(), |sql, value| sql.replacen("{}", value, 1));
        let result = sqlx::query(&sql).execute(&pool).await;
        let refused = result
            .as_ref()
            .err()
            .and_then(|error| error.as_database_error())
            .map(sqlx::error::DatabaseError::kind);
        match taken {
            true => assert!(result.is_ok(), "{why}: {result:?}"),
            false => assert!(
                matches!(refused, Some(ErrorKind::CheckViolation)),
                "{why}: {result:?}"
            ),
        }
    }
}
