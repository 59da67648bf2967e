//! The statements of a delivery: claim, read, record the outcome, and the state of the webhook.
//!
//! A claim is one conditional UPDATE that moves `due_at` to the end of a lease and raises `tries`;
//! of two messages one matches no row. If the process ends before the outcome is recorded, the row
//! becomes due again when the lease expires. So a delivery is posted at least once, each time as
//! the same event.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use shared::{
    batch::SeqRange,
    platform::{db::Db, queue::DeliveryMessage},
};
use sqlx::types::Uuid;

/// The lease of a claim, twice the time of a post: if no outcome is recorded by then, its process
/// has crashed.
const DELIVERY_LEASE: TimeDelta = TimeDelta::seconds(30);
/// A delivery may be claimed this long before it is due, because messages arrive early. It is less
/// than the difference between a lease and a post.
const DELIVERY_EARLY: TimeDelta = TimeDelta::seconds(3);

/// Claims a delivery that is due. Returns false if it is over, not due, or being posted.
pub async fn claim_delivery(
    db: &Db,
    delivery: DeliveryMessage,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET due_at = ?, tries = tries + 1, tried_at = ?
         WHERE webhook_id = ? AND event_id = ? AND status = 'pending' AND due_at <= ?",
        now + DELIVERY_LEASE,
        now,
        delivery.webhook_id,
        delivery.event_id,
        now + DELIVERY_EARLY
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// A delivery and its webhook.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migrations")]
pub struct Delivery {
    pub kind: String,
    pub schedule_id: Option<Uuid>,
    pub first_seq: Option<u32>,
    pub last_seq: Option<u32>,
    pub data: Option<String>,
    pub tries: u32,
    pub created_at: DateTime<Utc>,
    pub url: String,
    pub key_id: String,
    pub secret_no: u32,
    pub rotated_at: Option<DateTime<Utc>>,
    pub failing_since: Option<DateTime<Utc>>,
    /// The webhook is disabled: nothing is posted.
    pub disabled: bool,
}

/// Reads a claimed delivery and its webhook. Returns `None` if the webhook is gone.
pub async fn read_delivery(db: &Db, delivery: DeliveryMessage) -> sqlx::Result<Option<Delivery>> {
    sqlx::query_as!(
        Delivery,
        r#"SELECT d.type AS kind, d.schedule_id AS "schedule_id: Uuid", d.first_seq, d.last_seq, d.data, d.tries,
             d.created_at AS "created_at: DateTime<Utc>", w.url, w.key_id, w.secret_no, w.rotated_at AS "rotated_at: DateTime<Utc>",
             w.failing_since AS "failing_since: DateTime<Utc>", w.disabled_at IS NOT NULL AS "disabled!: bool"
           FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.webhook_id = ? AND d.event_id = ?"#,
        delivery.webhook_id,
        delivery.event_id
    )
    .fetch_optional(db)
    .await
}

/// Deletes a delivery whose webhook is gone.
pub async fn delete_delivery(db: &Db, delivery: DeliveryMessage) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE webhook_id = ? AND event_id = ?",
        delivery.webhook_id,
        delivery.event_id
    );
    done.execute(db).await.map(drop)
}

/// A message that has ended, as an event publishes it.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct FinalMessage {
    pub seq: u32,
    pub phone: String,
    pub status: String,
    pub attempt: u32,
    pub message_id: Option<String>,
    pub carrier_status: Option<String>,
    pub error: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub final_at: Option<DateTime<Utc>>,
}

/// Returns the messages of an event.
pub async fn final_messages(
    db: &Db,
    schedule_id: Uuid,
    range: SeqRange,
    event: Uuid,
) -> sqlx::Result<Vec<FinalMessage>> {
    sqlx::query_as!(
        FinalMessage,
        r#"SELECT seq, phone AS "phone!", status, attempt, message_id, carrier_status, error, sent_at AS "sent_at: DateTime<Utc>",
             final_at AS "final_at: DateTime<Utc>"
           FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND final_event = ? ORDER BY seq"#,
        schedule_id,
        range.first,
        range.last,
        event
    )
    .fetch_all(db)
    .await
}

/// A try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedTry<'a> {
    /// The number of the try. If another try has started since, nothing is recorded.
    pub tries: u32,
    /// The status of the answer.
    pub http_status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<&'a str>,
    /// When the delivery is retried; `None`: it has failed.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Records that the receiver accepted the event: a fact, even if another worker has claimed the
/// delivery since. Returns false if it was recorded before.
pub async fn record_delivered(
    db: &Db,
    delivery: DeliveryMessage,
    http_status: u16,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET status = 'delivered', due_at = NULL, http_status = ?, error = NULL
         WHERE webhook_id = ? AND event_id = ? AND status <> 'delivered'",
        http_status,
        delivery.webhook_id,
        delivery.event_id
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Records a failed try: the delivery is due again, or failed. Returns false if another try has
/// started since.
pub async fn record_failure(
    db: &Db,
    delivery: DeliveryMessage,
    failed: FailedTry<'_>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET status = ?, due_at = ?, http_status = ?, error = ?
         WHERE webhook_id = ? AND event_id = ? AND status = 'pending' AND tries = ?",
        if failed.retry_at.is_some() {
            "pending"
        } else {
            "failed"
        },
        failed.retry_at,
        failed.http_status,
        failed.error,
        delivery.webhook_id,
        delivery.event_id,
        failed.tries
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Records that a webhook accepts deliveries again.
pub async fn clear_failing(db: &Db, webhook: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET failing_since = NULL WHERE id = ?",
        webhook
    );
    done.execute(db).await.map(drop)
}

/// Records that a webhook has started to fail.
pub async fn mark_failing(db: &Db, webhook: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET failing_since = ? WHERE id = ? AND failing_since IS NULL",
        now,
        webhook
    );
    done.execute(db).await.map(drop)
}

/// Disables a webhook on behalf of the system. Returns false if it is disabled already.
pub async fn disable_webhook(
    db: &Db,
    webhook: Uuid,
    reason: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhooks SET disabled_at = ?, disabled_reason = ? WHERE id = ? AND disabled_at IS NULL",
        now,
        reason,
        webhook
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}
