//! The body of a request: type, time and data of the event. Each try posts the same JSON.

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use shared::{batch::SeqRange, platform::db::Db};
use uuid::Uuid;

use crate::store::{Delivery, FinalMessage, final_messages};

#[derive(Serialize)]
struct Body<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    /// When the event happened, not when it is posted.
    timestamp: DateTime<Utc>,
    data: T,
}

/// The data of an event about messages.
#[derive(Serialize)]
struct Messages {
    schedule_id: Uuid,
    messages: Vec<FinalMessage>,
}

/// Composes the body. Messages are read from their rows, so that no phone number is stored with the
/// event.
pub async fn compose(db: &Db, event: Uuid, delivery: &Delivery) -> anyhow::Result<Vec<u8>> {
    let (kind, timestamp) = (delivery.kind.as_str(), delivery.created_at);
    let range = delivery.first_seq.zip(delivery.last_seq);
    let range = range.map(|(first, last)| SeqRange { first, last });
    if let (Some(schedule_id), Some(range)) = (delivery.schedule_id, range) {
        let messages = final_messages(db, schedule_id, range, event)
            .await
            .context("reading the messages")?;
        return Ok(serde_json::to_vec(&Body {
            kind,
            timestamp,
            data: Messages {
                schedule_id,
                messages,
            },
        })?);
    }
    let data: Box<RawValue> = serde_json::from_str(delivery.data.as_deref().unwrap_or("{}"))
        .context("reading the event's data")?;
    Ok(serde_json::to_vec(&Body {
        kind,
        timestamp,
        data,
    })?)
}
