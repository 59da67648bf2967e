//! The events of messages that have ended, recorded in the transaction of the release.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    batch::{SeqRange, rows::SEND_UNTIL},
    events::{
        EventType,
        record::{MOST_MESSAGES, NewEvent, insert_deliveries, webhooks_for},
    },
    platform::queue::DeliveryMessage,
};

/// Records events of the messages of a batch that have ended, are not published yet, and will not
/// be sent again. Returns the deliveries to enqueue after the commit.
///
/// The condition is that of `write::write_release`, which runs in the same transaction, so each
/// pass publishes every ended message, once. A message that is sent again after it was published
/// (its number was suppressed then, and is not any more) is not published again.
pub async fn record_final_events(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    range: SeqRange,
    max_resends: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    let kind = EventType::MessagesFinal;
    let webhooks = webhooks_for(connection, kind, schedule_id, now).await?;
    let mut published = Vec::new();
    while !webhooks.is_empty() {
        let id = Uuid::now_v7();
        let marked = mark_published(connection, schedule_id, range, max_resends, id).await?;
        if marked == 0 {
            break;
        }
        let range = published_range(connection, schedule_id, range, id).await?;
        let event = NewEvent {
            id,
            kind,
            schedule_id: Some(schedule_id),
            range,
            data: None,
        };
        published.extend(insert_deliveries(connection, &webhooks, &event, now).await?);
        if marked < MOST_MESSAGES.into() {
            break;
        }
    }
    Ok(published)
}

async fn mark_published(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    range: SeqRange,
    max_resends: u32,
    event: Uuid,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        // Numbers that are not suppressed here stay so until the release, in the same transaction,
        // has read them too.
        "UPDATE recipients SET final_event = ?
         WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND final_event IS NULL AND final_at IS NOT NULL AND phone IS NOT NULL
           AND NOT (resends < ? AND status IN ('UNDELIV', 'EXPIRED') AND NOT (error <=> ?)
             AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.phone = recipients.phone))
         ORDER BY seq LIMIT ?",
        event,
        schedule_id,
        range.first,
        range.last,
        max_resends,
        SEND_UNTIL,
        MOST_MESSAGES
    );
    Ok(done.execute(connection).await?.rows_affected())
}

async fn published_range(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    range: SeqRange,
    event: Uuid,
) -> sqlx::Result<Option<SeqRange>> {
    let found = sqlx::query!(
        r#"SELECT MIN(seq) AS "first: u32", MAX(seq) AS "last: u32" FROM recipients
           WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND final_event = ?"#,
        schedule_id,
        range.first,
        range.last,
        event
    );
    let found = found.fetch_one(connection).await?;
    Ok(found
        .first
        .zip(found.last)
        .map(|(first, last)| SeqRange::new(first, last)))
}
