//! Records events: one row of `webhook_deliveries` per webhook that subscribes to the event, in the
//! transaction of the change.
//!
//! A webhook gets an event if it is enabled, subscribes to the type, and the schedule is one of its
//! schedules: of its owner, with one of its labels, or, for a callback, one that names it. If no
//! webhook gets an event, it costs one read of a few rows. A change that matches no row, or is
//! rolled back, records nothing.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::EventType;
use crate::{message::seq_range::SeqRange, platform::queue::DeliveryMessage};

/// The most messages in one event.
pub const MOST_MESSAGES: u32 = 1000;

/// Returns the webhooks that get an event of this type about this schedule.
pub async fn webhooks_for(
    connection: &mut MySqlConnection,
    kind: EventType,
    schedule_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    // Read without a lock: the transactions of different schedules must not wait for each other
    // here. The derived table has the webhooks without an owner, those of the schedule's creator, at
    // most twenty each, and the schedule's callback.
    let ids = sqlx::query_scalar!(
        r#"SELECT w.id AS "id: Uuid" FROM (
             SELECT o.id FROM schedules s STRAIGHT_JOIN webhooks o FORCE INDEX (by_owner)
               ON (o.owner = s.created_by OR o.owner IS NULL) AND o.callback_hash IS NULL
             WHERE s.id = ?
             UNION ALL SELECT callback_id FROM schedules WHERE id = ? AND callback_id IS NOT NULL) candidates
           STRAIGHT_JOIN webhooks w ON w.id = candidates.id
           WHERE w.disabled_at IS NULL AND (w.expires_at IS NULL OR w.expires_at > ?)
             AND FIND_IN_SET(?, COALESCE(w.selected_events, w.events)) > 0
             AND (w.labels IS NULL OR EXISTS (
               SELECT 1 FROM webhook_labels wanted
               STRAIGHT_JOIN schedule_labels l FORCE INDEX (PRIMARY) ON l.label = wanted.label AND l.schedule_id = ?
               WHERE wanted.webhook_id = w.id))"#,
        schedule_id,
        schedule_id,
        now,
        kind.as_str(),
        schedule_id
    );
    ids.fetch_all(connection).await
}

/// An event to record.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// `webhook_deliveries.event_id`
    pub id: Uuid,
    /// The type.
    pub kind: EventType,
    /// The schedule that it is about, if any.
    pub schedule_id: Option<Uuid>,
    /// For messages, the range that contains them.
    pub range: Option<SeqRange>,
    /// The data, unless it is read from the rows of the range.
    pub data: Option<Value>,
}

/// Records an event for each of `webhooks`, due at once. Returns the deliveries to enqueue after
/// the commit.
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
