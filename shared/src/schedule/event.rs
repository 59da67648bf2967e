//! The events about a schedule, with the data of its row in the transaction of the change.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    events::{
        EventType,
        record::{NewEvent, insert_deliveries, webhooks_for},
    },
    platform::queue::DeliveryMessage,
    schedule::{
        counts::count_by_status,
        outcome::ScheduleOutcome,
        row::{Schedule, load_schedule},
    },
};

/// Records an event about a schedule, with the data of its row. Runs in the transaction of the
/// change. Returns the deliveries to enqueue after the commit.
pub async fn record_event(
    connection: &mut MySqlConnection,
    kind: EventType,
    schedule_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    let webhooks = webhooks_for(connection, kind, schedule_id, now).await?;
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

/// Returns the labels of a schedule.
fn labels(schedule: &Schedule) -> Value {
    // The API has written the column, so it is well formed.
    let column = schedule.labels.as_deref();
    column
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_else(|| json!([]))
}

/// Returns the data of the event, without any phone number or text.
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
        "name": schedule.name,
        "reference": schedule.reference,
        "labels": labels(schedule),
    });
    if matches!(
        kind,
        EventType::SchedulePaused | EventType::ScheduleCancelled | EventType::ScheduleRejected
    ) {
        data["reason"] = json!(schedule.pause_reason.as_ref().or(schedule.reason.as_ref()));
    }
    if !matches!(
        kind,
        EventType::ScheduleStarted | EventType::ScheduleResumed
    ) {
        let counts = count_by_status(connection, schedule).await?;
        if kind == EventType::ScheduleFinished {
            data["outcome"] = json!(ScheduleOutcome::of(schedule.status, &counts));
        }
        data["counts"] = json!(counts);
    }
    Ok(data)
}
