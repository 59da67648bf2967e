//! Rows as the workers leave them, written directly.

use sqlx::MySqlPool;
use uuid::Uuid;

use super::{Api, phones};

/// Creates a running schedule of batches of five recipients. No batch is due.
pub async fn cut(api: &Api, pool: &MySqlPool, batches: u32) -> Uuid {
    let id = api.schedule(&phones(0..batches * 5)).await;
    let sql = "UPDATE schedules SET status = 'running', batch_count = ?, dispatched_at = UTC_TIMESTAMP(3) WHERE id = ?";
    sqlx::query(sql)
        .bind(batches)
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
    for no in 1..=batches {
        let sql =
            "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, pending)
            VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3) - INTERVAL 1 HOUR, 5)";
        sqlx::query(sql)
            .bind(id)
            .bind(no)
            .bind(no * 5 - 4)
            .bind(no * 5)
            .execute(pool)
            .await
            .unwrap();
    }
    id
}

/// Finishes a schedule, all of whose messages end UNDELIV.
pub async fn undelivered(pool: &MySqlPool, id: Uuid) {
    for sql in [
        "UPDATE recipients SET status = 'UNDELIV', attempt = 1, id_start = 'm', sent_at = UTC_TIMESTAMP(3), final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?",
        "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, undeliv)
           SELECT schedule_id, 1, 1, MAX(seq), UTC_TIMESTAMP(3), COUNT(*) FROM recipients WHERE schedule_id = ? GROUP BY schedule_id",
        "UPDATE schedules SET status = 'finished', batch_count = 1, dispatched_at = UTC_TIMESTAMP(3), finished_at = UTC_TIMESTAMP(3) WHERE id = ?",
    ] {
        sqlx::query(sql).bind(id).execute(pool).await.unwrap();
    }
}

/// Updates the row of a schedule.
pub async fn schedule(pool: &MySqlPool, id: Uuid, assignments: &str) {
    sqlx::query(&format!("UPDATE schedules SET {assignments} WHERE id = ?"))
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
}

/// Updates the row of a batch. `now(-60)` stands for one minute ago, `claim(60)` for a lease that
/// expires in one minute.
pub async fn batch(pool: &MySqlPool, id: Uuid, no: u32, assignments: &str) {
    let mut sql =
        format!("UPDATE batches SET {assignments} WHERE schedule_id = ? AND batch_no = ?");
    for (macro_name, replacement) in [
        (
            "claim(",
            "claim_token = UNHEX(REPEAT('0F', 16)), claimed_until = now(",
        ),
        ("now(", "UTC_TIMESTAMP(3) + INTERVAL "),
    ] {
        while let Some(at) = sql.find(macro_name) {
            let end = at + sql[at..].find(')').unwrap();
            let seconds = sql[at + macro_name.len()..end].to_owned();
            let close = if macro_name == "claim(" {
                ")"
            } else {
                " SECOND"
            };
            sql.replace_range(at..=end, &format!("{replacement}{seconds}{close}"));
        }
    }
    sqlx::query(&sql)
        .bind(id)
        .bind(no)
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Makes recipients UNCERTAIN, sent this many seconds ago, and updates the counts of their batches.
pub async fn uncertain(
    pool: &MySqlPool,
    id: Uuid,
    seqs: std::ops::RangeInclusive<u32>,
    seconds_ago: u32,
) {
    let sql = "UPDATE recipients SET status = 'UNCERTAIN', error = 'timed out', attempt = 1, id_start = NULL,
        sent_at = UTC_TIMESTAMP(3) - INTERVAL ? SECOND WHERE schedule_id = ? AND seq BETWEEN ? AND ?";
    sqlx::query(sql)
        .bind(seconds_ago)
        .bind(id)
        .bind(seqs.start())
        .bind(seqs.end())
        .execute(pool)
        .await
        .unwrap();
    for column in ["pending", "uncertain"] {
        let sql = format!(
            "UPDATE batches b SET {column} = (SELECT COUNT(*) FROM recipients r WHERE r.schedule_id = b.schedule_id
               AND r.seq BETWEEN b.first_seq AND b.last_seq AND r.status = '{}') WHERE schedule_id = ?",
            column.to_uppercase()
        );
        sqlx::query(&sql).bind(id).execute(pool).await.unwrap();
    }
}

/// Returns the recipients as lines: `seq STATUS attempt resends error`.
pub async fn recipients(pool: &MySqlPool, id: Uuid) -> Vec<String> {
    let sql = "SELECT CONCAT_WS(' ', seq, status, attempt, resends, error) FROM recipients WHERE schedule_id = ? ORDER BY seq";
    sqlx::query_scalar(sql)
        .bind(id)
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Returns a batch as a line: whether it is held and owned; `send_at`, `check_at`, `sweep_at` and
/// `planned_at` as past, now, later or `-`; crashes, requeues, tries.
pub async fn batch_line(pool: &MySqlPool, id: Uuid, no: u32) -> String {
    let when = |column: &str| {
        format!(
            "CASE WHEN {column} IS NULL THEN '-' WHEN {column} < UTC_TIMESTAMP(3) - INTERVAL 20 SECOND THEN 'past'
               WHEN {column} < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END"
        )
    };
    let times = ["send_at", "check_at", "sweep_at", "planned_at"]
        .map(when)
        .join(", ");
    let sql = format!(
        "SELECT CONCAT_WS(' ', IF(missed_at IS NULL, 'free', 'held'), IF(claim_token IS NULL, 'unowned', 'owned'), {times}, crashes,
           requeues, tries) FROM batches WHERE schedule_id = ? AND batch_no = ?"
    );
    sqlx::query_scalar(&sql)
        .bind(id)
        .bind(no)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Creates a running schedule whose eleven batches are each in a different state.
pub async fn batches_in_each_state(api: &Api, pool: &MySqlPool) -> Uuid {
    let id = cut(api, pool, 11).await;
    let table = [
        (1, "missed_at = now(-300)"),
        // Held, and still due for rechecks.
        (
            2,
            "missed_at = now(-600), check_at = now(60), sweep_at = now(60), pending = 2, acceptd = 3",
        ),
        (
            3,
            "crashes = 3, send_at = now(-900), sweep_at = now(900), claim(-500)",
        ),
        // Under its third claim, so not parked yet.
        (
            4,
            "crashes = 3, send_at = now(-900), sweep_at = now(30), claim(25)",
        ),
        (5, "send_at = now(-900), sweep_at = now(-700)"),
        // Its owner crashed long ago, and no other took over.
        (
            6,
            "crashes = 1, send_at = now(-900), sweep_at = now(300), claim(-700)",
        ),
        (
            7,
            "crashes = 1, check_at = now(-900), sweep_at = now(-500), claim(-500)",
        ),
        (8, "send_at = now(900), sweep_at = now(800)"),
        (9, "pending = 5"),
        (
            10,
            "pending = 5, check_at = now(60), sweep_at = now(60), claim(30)",
        ),
        (11, "pending = 0, delivrd = 5"),
    ];
    for (no, assignments) in table {
        batch(pool, id, no, assignments).await;
    }
    // Batch 9 has three uncertain messages; batch 10 has two, but is claimed.
    uncertain(pool, id, 43..=45, 900).await;
    uncertain(pool, id, 46..=47, 900).await;
    batch(pool, id, 2, "pending = 2").await;
    id
}
