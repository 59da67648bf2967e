//! Records events: one row of `webhook_deliveries` per webhook that subscribes to the event, in the
//! transaction of the change.
//!
//! If no webhook subscribes to it, an event costs one read of `webhooks`, which has a few rows. A
//! change that matches no row, or is rolled back, records nothing.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::EventType;
use crate::{message::seq_range::SeqRange, platform::queue::DeliveryMessage};

/// Most messages that one event tells.
pub const MOST_MESSAGES: u32 = 1000;

/// The webhooks that want events of a type.
pub async fn webhooks_for(
    connection: &mut MySqlConnection,
    kind: EventType,
) -> sqlx::Result<Vec<Uuid>> {
    // Read without a lock: the transactions of many schedules' changes must not wait for each other here.
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM webhooks WHERE disabled_at IS NULL AND FIND_IN_SET(?, events) > 0"#,
        kind.as_str()
    );
    ids.fetch_all(connection).await
}

/// An event to be written down.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// `webhook_deliveries.event_id`
    pub id: Uuid,
    /// What happened.
    pub kind: EventType,
    /// To whom.
    pub schedule_id: Option<Uuid>,
    /// Of messages: the first and the last place.
    pub range: Option<SeqRange>,
    /// What it says, where that is not read from the rows.
    pub data: Option<Value>,
}

/// Writes an event down for these webhooks, due at once.
pub async fn insert_deliveries(
    connection: &mut MySqlConnection,
    webhooks: &[Uuid],
    event: &NewEvent,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    let ids: Vec<_> = webhooks.iter().map(|id| id.simple().to_string()).collect();
    let done = sqlx::query!(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, type, schedule_id, first_seq, last_seq, data, due_at, created_at)
         SELECT UNHEX(j.id), ?, ?, ?, ?, ?, ?, ?, ? FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) j",
        event.id,
        event.kind.as_str(),
        event.schedule_id,
        event.range.map(|range| range.first),
        event.range.map(|range| range.last),
        event.data.as_ref().map(Value::to_string),
        now,
        now,
        json!(ids).to_string()
    );
    done.execute(connection).await?;
    Ok(webhooks
        .iter()
        .map(|&webhook_id| DeliveryMessage {
            webhook_id,
            event_id: event.id,
        })
        .collect())
}
