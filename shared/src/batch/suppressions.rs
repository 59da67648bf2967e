//! Suppressed numbers among the recipients of a batch, looked up at the time of sending.

use sqlx::MySqlConnection;

use crate::{
    batch::SeqRange,
    platform::{db::Db, queue::BatchMessage},
};

/// Returns the suppressed numbers among `phones`, in no particular order.
pub async fn suppressed_among(
    connection: &mut MySqlConnection,
    phones: &[&str],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "SELECT s.phone FROM JSON_TABLE(?, '$[*]' COLUMNS (phone VARCHAR(16) PATH '$')) j
         STRAIGHT_JOIN suppressions s ON s.phone = CONVERT(j.phone USING ascii)",
        serde_json::json!(phones).to_string()
    )
    .fetch_all(connection)
    .await
}

/// Returns the suppressed numbers among the recipients of a range that can be sent to, in no
/// particular order.
pub async fn suppressed_in_range(
    db: &Db,
    batch: BatchMessage,
    range: SeqRange,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "SELECT s.phone FROM recipients r STRAIGHT_JOIN suppressions s ON s.phone = r.phone
         WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND r.status IN ('PENDING', 'UNDELIV', 'EXPIRED', 'UNCERTAIN')",
        batch.schedule_id,
        range.first,
        range.last
    )
    .fetch_all(db)
    .await
}
