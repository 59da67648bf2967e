//! The statements of a delivery and of its webhook: choose the next one, take a place, claim, read,
//! and record the outcome.
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

use crate::circuit::Place;

/// The lease of a claim, twice the time of a post: if no outcome is recorded by then, its process
/// has crashed.
const DELIVERY_LEASE: TimeDelta = TimeDelta::seconds(30);
/// A delivery may be claimed this long before it is due, because messages arrive early. It is less
/// than the difference between a lease and a post.
const DELIVERY_EARLY: TimeDelta = TimeDelta::seconds(3);

/// Returns the delivery of a webhook to post next: the one that the message names, or else the one
/// that has been due longest. Returns `None` if none is due.
pub async fn next_delivery(
    db: &Db,
    message: DeliveryMessage,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<DeliveryMessage>> {
    let event = sqlx::query!(
        r#"(SELECT event_id AS "event_id: Uuid", 0 AS place FROM webhook_deliveries
            WHERE webhook_id = ? AND event_id = ? AND status = 'pending' AND due_at <= ?)
           UNION ALL
           (SELECT event_id, 1 FROM webhook_deliveries FORCE INDEX (next_of_webhook)
            WHERE webhook_id = ? AND due_at <= ? ORDER BY due_at LIMIT 1)
           ORDER BY place LIMIT 1"#,
        message.webhook_id,
        message.event_id,
        now + DELIVERY_EARLY,
        message.webhook_id,
        now
    );
    let event = event.fetch_optional(db).await?;
    Ok(event.map(|event| DeliveryMessage {
        event_id: event.event_id,
        ..message
    }))
}

/// Takes a place for a post. Returns false if the circuit of the webhook is open, if its places are
/// taken, or if it is gone.
///
/// `healthy_places` is the number of places of a webhook whose last post was accepted; another one
/// has a single place. A post that ends the suspension of a webhook suspends it until the lease
/// ends, so that it remains the only probe.
pub async fn take_place(
    db: &Db,
    webhook: Uuid,
    healthy_places: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Place>> {
    let place = Place::at(now);
    let before = place.period.saturating_sub(1);
    let done = sqlx::query!(
        // Assigned from left to right: each expression reads the columns to its right as they were.
        // A period that is ahead of this one is treated as this one: clocks differ a little.
        "UPDATE webhooks SET
           posts_before = IF(posts_period >= ?, posts_before, IF(posts_period = ?, posts, 0)),
           posts = IF(posts_period >= ?, posts, 0) + 1,
           posts_period = GREATEST(posts_period, ?),
           suspended_until = IF(suspended_until IS NULL, NULL, ?)
         WHERE id = ? AND (disabled_at IS NOT NULL OR (
           (suspended_until IS NULL OR suspended_until <= ?)
           AND IF(posts_period >= ?, posts + posts_before, IF(posts_period = ?, posts, 0))
             < IF(failures = 0 AND accepted_at IS NOT NULL, ?, 1)))",
        place.period,
        before,
        place.period,
        place.period,
        now + DELIVERY_LEASE,
        webhook,
        now + DELIVERY_EARLY,
        place.period,
        before,
        healthy_places
    );
    Ok((done.execute(db).await?.rows_affected() == 1).then_some(place))
}

/// Returns a place for which there was nothing to post, or whose post is no evidence about the
/// receiver.
pub async fn return_place(
    db: &Db,
    webhook: Uuid,
    place: Place,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET
           posts = posts - IF(posts_period = ? AND posts > 0, 1, 0),
           posts_before = posts_before - IF(posts_period = ? AND posts_before > 0, 1, 0),
           suspended_until = LEAST(suspended_until, ?)
         WHERE id = ?",
        place.period,
        place.period + 1,
        now,
        webhook
    );
    done.execute(db).await.map(drop)
}

/// Returns whether a webhook exists, and its suspension.
pub async fn read_suspension(db: &Db, webhook: Uuid) -> sqlx::Result<Option<Suspension>> {
    sqlx::query_as!(
        Suspension,
        r#"SELECT suspended_until AS "until: DateTime<Utc>" FROM webhooks WHERE id = ?"#,
        webhook
    )
    .fetch_optional(db)
    .await
}

/// The suspension of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// `webhooks.suspended_until`
    pub until: Option<DateTime<Utc>>,
}

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
    pub failures: u32,
    /// The post ends a suspension.
    pub is_probe: bool,
    /// The webhook is disabled, or the key that owns it has expired: nothing is posted.
    pub disabled: bool,
}

/// Reads a claimed delivery and its webhook. Returns `None` if the webhook is gone.
pub async fn read_delivery(
    db: &Db,
    delivery: DeliveryMessage,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Delivery>> {
    sqlx::query_as!(
        Delivery,
        r#"SELECT d.type AS kind, d.schedule_id AS "schedule_id: Uuid", d.first_seq, d.last_seq, d.data, d.tries,
             d.created_at AS "created_at: DateTime<Utc>", w.url, w.key_id, w.secret_no, w.rotated_at AS "rotated_at: DateTime<Utc>",
             w.failing_since AS "failing_since: DateTime<Utc>", w.failures,
             w.suspended_until IS NOT NULL AS "is_probe!: bool", (w.disabled_at IS NOT NULL OR COALESCE(w.expires_at <= ?, FALSE)) AS "disabled!: bool"
           FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.webhook_id = ? AND d.event_id = ?"#,
        now,
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
    /// `None`: it is erased.
    pub phone: Option<String>,
    pub reference: Option<String>,
    pub group: Option<String>,
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
        r#"SELECT r.seq, IF(r.phone LIKE '#%', NULL, r.phone) AS phone, n.reference AS "reference?", n.group_name AS "group?", r.status, r.attempt, r.message_id,
             r.carrier_status, r.error, r.sent_at AS "sent_at: DateTime<Utc>", r.final_at AS "final_at: DateTime<Utc>"
           FROM recipients r LEFT JOIN recipient_references n FORCE INDEX (PRIMARY) ON n.schedule_id = r.schedule_id AND n.seq = r.seq
           WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND r.final_event = ? ORDER BY r.seq"#,
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

/// Records that a webhook has accepted a post, which closes its circuit, and returns the place.
pub async fn record_accepted(
    db: &Db,
    webhook: Uuid,
    place: Place,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET
           posts = posts - IF(posts_period = ? AND posts > 0, 1, 0),
           posts_before = posts_before - IF(posts_period = ? AND posts_before > 0, 1, 0),
           failing_since = NULL, failures = 0, accepted_at = ?, suspended_until = NULL
         WHERE id = ?",
        place.period,
        place.period + 1,
        now,
        webhook
    );
    done.execute(db).await.map(drop)
}

/// A post that a webhook has not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedPost {
    /// Its place, which is returned.
    pub place: Place,
    /// The time of the record.
    pub now: DateTime<Utc>,
    /// The new end of the suspension; `None`: it stays as it is.
    pub suspended_until: Option<DateTime<Utc>>,
}

/// Records that a webhook has not accepted a post, and returns the place.
pub async fn record_failed_post(db: &Db, webhook: Uuid, failed: FailedPost) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET
           posts = posts - IF(posts_period = ? AND posts > 0, 1, 0),
           posts_before = posts_before - IF(posts_period = ? AND posts_before > 0, 1, 0),
           failing_since = COALESCE(failing_since, ?), failures = failures + 1,
           suspended_until = COALESCE(?, suspended_until)
         WHERE id = ?",
        failed.place.period,
        failed.place.period + 1,
        failed.now,
        failed.suspended_until,
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
