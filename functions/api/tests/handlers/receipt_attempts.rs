//! Receipts for earlier attempts of a message that was sent again.

use crate::common::{
    Api,
    receipts::{accepted, lines, push, receipt, rechecks, row, tally},
    rows,
};
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

/// Returns the stored attempts as lines: `seq attempt STATUS ids carrier_status`, and `final`.
async fn attempts(pool: &MySqlPool, id: Uuid) -> Vec<String> {
    let sql = "SELECT CONCAT_WS(' ', seq, attempt, status, message_id, carrier_status, IF(final_at IS NULL, NULL, 'final'))
        FROM attempts WHERE schedule_id = ? ORDER BY seq, attempt";
    sqlx::query_scalar(sql)
        .bind(id)
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Stores an earlier attempt. UNDELIV and EXPIRED are final.
async fn insert_attempt(
    pool: &MySqlPool,
    id: Uuid,
    seq: u32,
    attempt: u32,
    status: &str,
    message_id: Option<&str>,
) {
    let sql = "INSERT INTO attempts (schedule_id, seq, attempt, status, message_id, sent_at, final_at)
        VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP(3), IF(? IN ('UNDELIV', 'EXPIRED'), UTC_TIMESTAMP(3), NULL))";
    let insert = sqlx::query(sql)
        .bind(id)
        .bind(seq)
        .bind(attempt)
        .bind(status)
        .bind(message_id)
        .bind(status);
    insert.execute(pool).await.unwrap();
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_receipt_for_an_earlier_attempt_is_recorded_on_that_attempt(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 1).await;
    for seq in 1..=4 {
        let assignments = format!("attempt = 2, id_start = 'again{seq}'");
        row(&pool, id, seq, &assignments).await;
    }
    insert_attempt(&pool, id, 1, 1, "UNCERTAIN", None).await;
    insert_attempt(&pool, id, 2, 1, "UNDELIV", Some("m2")).await;
    insert_attempt(&pool, id, 3, 1, "ACCEPTD", Some("m3")).await;
    // An operator resends it: the attempt is kept, and the attempt number stays until the next
    // mark.
    row(&pool, id, 4, "status = 'PENDING', id_start = NULL").await;
    insert_attempt(&pool, id, 4, 2, "UNCERTAIN", None).await;
    let own = |seq: u32, attempt: u32| format!("{}-{seq}-{attempt}", id.simple());
    let body = json!([
        receipt(1, &own(1, 1), "DELIVRD"),
        receipt(2, "m2", "DELIVRD"),
        receipt(3, "m3", "ENROUTE"),
        receipt(4, &own(4, 2), "DELIVRD"),
    ]);
    assert_eq!(tally(&push(&api, &body).await), [3, 1, 0, 0, 0]);
    assert_eq!(
        attempts(&pool, id).await,
        [
            format!("1 1 DELIVRD {} DELIVRD final", own(1, 1)),
            "2 1 UNDELIV m2 final".to_owned(),
            "3 1 ENROUTE m3 ENROUTE".to_owned(),
            format!("4 2 DELIVRD {} DELIVRD final", own(4, 2)),
        ]
    );
    assert_eq!(
        lines(&pool, id).await[..4],
        [
            "1 ACCEPTD 2 again1",
            "2 ACCEPTD 2 again2",
            "3 ACCEPTD 2 again3",
            "4 PENDING 2"
        ]
    );
    assert_eq!(tally(&push(&api, &body).await), [0, 4, 0, 0, 0]);
    assert_eq!(
        (rechecks(&api), rows::batch_line(&pool, id, 1).await),
        (vec![], "free unowned - later later past 0 0 0".to_owned())
    );
}
