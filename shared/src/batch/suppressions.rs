//! Suppressed numbers among the recipients of a batch, looked up at the time of sending.

use sqlx::MySqlConnection;

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
