//! Events as rows: what happened, one row of `webhook_deliveries` for each webhook that wants it, in the transaction of the change. Where
//! nobody wants it that costs one read of `webhooks`, which has a few rows; a change that matches no row, or is taken back, tells nothing.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    batches::Claim,
    recipients::count_by_status,
    schedules::{Schedule, load_schedule},
};
use crate::{queue::DeliveryMessage, webhooks::EventType};

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
    pub range: Option<(u32, u32)>,
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
        event.range.map(|range| range.0),
        event.range.map(|range| range.1),
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

/// Tells what has just become of a schedule, as its row says now. Belongs into the transaction of the change.
pub async fn record_event(
    connection: &mut MySqlConnection,
    kind: EventType,
    schedule_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    let webhooks = webhooks_for(connection, kind).await?;
    if webhooks.is_empty() {
        return Ok(Vec::new());
    }
    let Some(schedule) = load_schedule(connection, schedule_id).await? else {
        return Ok(Vec::new());
    };
    let data = snapshot(connection, kind, &schedule).await?;
    let event = NewEvent {
        id: Uuid::now_v7(),
        kind,
        schedule_id: Some(schedule_id),
        range: None,
        data: Some(data),
    };
    insert_deliveries(connection, &webhooks, &event, now).await
}

/// No number and no text is in it.
async fn snapshot(
    connection: &mut MySqlConnection,
    kind: EventType,
    schedule: &Schedule,
) -> sqlx::Result<Value> {
    let mut data = json!({
        "schedule_id": schedule.id,
        "status": schedule.status,
        "version": schedule.version,
        "run_at": schedule.run_at,
        "recipients": schedule.recipient_count,
    });
    if kind == EventType::SchedulePaused {
        data["reason"] = json!(schedule.pause_reason);
    }
    if !matches!(
        kind,
        EventType::ScheduleStarted | EventType::ScheduleResumed
    ) {
        data["counts"] = json!(count_by_status(connection, schedule).await?);
    }
    Ok(data)
}

/// Tells which messages of a batch have ended, those that were not told yet, and will not be sent again: by the condition of
/// `batches::release`, with which it belongs into one transaction. Then no pass that ends tells less than it should, and none tells twice.
/// A message is told once: what is sent again after it was told (a number that was suppressed then, and is not any more) tells nothing.
pub async fn tell_final(
    connection: &mut MySqlConnection,
    claim: &Claim,
    range: (u32, u32),
    max_resends: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    let (schedule_id, kind) = (claim.batch.schedule_id, EventType::MessagesFinal);
    let webhooks = webhooks_for(connection, kind).await?;
    let mut told = Vec::new();
    while !webhooks.is_empty() {
        let id = Uuid::now_v7();
        let marked = mark_told(connection, (schedule_id, range), max_resends, id).await?;
        if marked == 0 {
            break;
        }
        let range = told_range(connection, (schedule_id, range), id).await?;
        let event = NewEvent {
            id,
            kind,
            schedule_id: Some(schedule_id),
            range,
            data: None,
        };
        told.extend(insert_deliveries(connection, &webhooks, &event, now).await?);
        if marked < MOST_MESSAGES.into() {
            break;
        }
    }
    Ok(told)
}

async fn mark_told(
    connection: &mut MySqlConnection,
    (schedule_id, range): (Uuid, (u32, u32)),
    max_resends: u32,
    event: Uuid,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        // The numbers that it reads as not suppressed stay so until the release, in the same transaction, has read them too.
        "UPDATE recipients SET final_event = ?
         WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND final_event IS NULL AND final_at IS NOT NULL AND phone IS NOT NULL
           AND NOT (resends < ? AND status IN ('UNDELIV', 'EXPIRED')
             AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.phone = recipients.phone))
         ORDER BY seq LIMIT ?",
        event,
        schedule_id,
        range.0,
        range.1,
        max_resends,
        MOST_MESSAGES
    );
    Ok(done.execute(connection).await?.rows_affected())
}

async fn told_range(
    connection: &mut MySqlConnection,
    (schedule_id, range): (Uuid, (u32, u32)),
    event: Uuid,
) -> sqlx::Result<Option<(u32, u32)>> {
    let found = sqlx::query!(
        r#"SELECT MIN(seq) AS "first: u32", MAX(seq) AS "last: u32" FROM recipients
           WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND final_event = ?"#,
        schedule_id,
        range.0,
        range.1,
        event
    );
    let found = found.fetch_one(connection).await?;
    Ok(found.first.zip(found.last))
}
