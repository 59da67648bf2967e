//! TODO header

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::platform::queue::DeliveryMessage;
use sqlx::MySqlConnection;

/// Deliveries that dead letters name, and that are not over, are due now. Returns how many those are.
pub async fn deliver_soon(
    connection: &mut MySqlConnection,
    deliveries: &[DeliveryMessage],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let names = deliveries.iter().map(|named| {
        (
            named.webhook_id.simple().to_string(),
            named.event_id.simple().to_string(),
        )
    });
    let names: Vec<_> = names.collect();
    let done = sqlx::query!(
        "UPDATE webhook_deliveries d JOIN (
           SELECT DISTINCT named.webhook, named.event FROM JSON_TABLE(?, '$[*]' COLUMNS (webhook CHAR(32) PATH '$[0]',
             event CHAR(32) PATH '$[1]')) named) n
         SET d.due_at = LEAST(d.due_at, ?)
         WHERE d.webhook_id = UNHEX(n.webhook) AND d.event_id = UNHEX(n.event) AND d.status = 'pending'",
        json!(names).to_string(),
        now
    );
    Ok(done.execute(connection).await?.rows_affected())
}
