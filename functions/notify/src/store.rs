//! `webhook_deliveries` as notify and the sweep use them: claimed, read, and what came of the try.
//!
//! A claim is one conditional UPDATE that moves `due_at` to the end of a lease and raises `tries`; of two messages one finds no row. Who
//! dies leaves a row that is due again after the lease, so a delivery is posted at least once, each time as the same event.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use shared::platform::db::Db;
use shared::platform::queue::DeliveryMessage;
use sqlx::types::Uuid;

/// The lease of a claim, twice the time of a post: if no attempt is recorded by then, its process
/// has crashed.
const DELIVERY_LEASE: TimeDelta = TimeDelta::seconds(30);
/// A delivery may be claimed this long before it is due, because messages arrive early. It is less
/// than the difference between a lease and a post.
const DELIVERY_EARLY: TimeDelta = TimeDelta::seconds(3);

/// Claims a delivery that is due; false: over, not due, or being posted.
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
    Ok(done.execute(&db.pool).await?.rows_affected() == 1)
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
    /// Nothing is posted to it any more.
    pub disabled: bool,
}

/// What a claimed delivery says, and where it goes; `None`: the webhook is gone.
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
    .fetch_optional(&db.pool)
    .await
}

/// Takes away a delivery whose webhook is gone.
pub async fn delete_delivery(db: &Db, delivery: DeliveryMessage) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE webhook_id = ? AND event_id = ?",
        delivery.webhook_id,
        delivery.event_id
    );
    done.execute(&db.pool).await.map(drop)
}

/// A message that has ended, as a receiver is told of it.
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

/// The messages that an event tells of.
pub async fn final_messages(
    db: &Db,
    schedule_id: Uuid,
    range: (u32, u32),
    event: Uuid,
) -> sqlx::Result<Vec<FinalMessage>> {
    sqlx::query_as!(
        FinalMessage,
        r#"SELECT seq, phone AS "phone!", status, attempt, message_id, carrier_status, error, sent_at AS "sent_at: DateTime<Utc>",
             final_at AS "final_at: DateTime<Utc>"
           FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND final_event = ? ORDER BY seq"#,
        schedule_id,
        range.0,
        range.1,
        event
    )
    .fetch_all(&db.pool)
    .await
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried<'a> {
    /// The try: another one may have begun meanwhile, which has its own say.
    pub tries: u32,
    /// What was answered.
    pub http_status: Option<u16>,
    /// A word for why there was no answer.
    pub error: Option<&'a str>,
    /// When it is tried again; `None`: not any more.
    pub again_at: Option<DateTime<Utc>>,
}

/// It has arrived: a fact, whoever has claimed it meanwhile.
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
    Ok(done.execute(&db.pool).await?.rows_affected() == 1)
}

/// It has not: it is due again, or failed.
pub async fn record_failure(
    db: &Db,
    delivery: DeliveryMessage,
    tried: Tried<'_>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET status = ?, due_at = ?, http_status = ?, error = ?
         WHERE webhook_id = ? AND event_id = ? AND status = 'pending' AND tries = ?",
        if tried.again_at.is_some() {
            "pending"
        } else {
            "failed"
        },
        tried.again_at,
        tried.http_status,
        tried.error,
        delivery.webhook_id,
        delivery.event_id,
        tried.tries
    );
    Ok(done.execute(&db.pool).await?.rows_affected() == 1)
}

/// A webhook takes deliveries, again.
pub async fn note_success(db: &Db, webhook: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET failing_since = NULL WHERE id = ?",
        webhook
    );
    done.execute(&db.pool).await.map(drop)
}

/// A webhook has begun to fail.
pub async fn note_failure(db: &Db, webhook: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET failing_since = ? WHERE id = ? AND failing_since IS NULL",
        now,
        webhook
    );
    done.execute(&db.pool).await.map(drop)
}

/// Disables a webhook on the system's own account; false: it was already.
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
    Ok(done.execute(&db.pool).await?.rows_affected() == 1)
}
