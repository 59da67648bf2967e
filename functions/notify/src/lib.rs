//! Notify: takes a place for a post to a webhook, claims a delivery, posts its event to the
//! webhook's URL, signed, and records the outcome.
//!
//! The input is a message that names a delivery. The output is one request per delivery, the rows
//! of the delivery and of its webhook and, if it failed, a delayed message that names it again. If
//! it runs twice, also at the same time, one run claims the delivery and the other finds nothing to
//! do. If the process ends before the outcome is recorded, the row becomes due again when its lease
//! expires: an event is posted at least once, each time with the same id, by which a receiver
//! recognizes it.
//!
//! A message that finds no place, because the webhook's places are taken or its circuit is open, is
//! discarded, and the delivery stays due without a try. So each run that ends a post continues with
//! the webhook's next due delivery; and a failure that opens the circuit enqueues one message for
//! its end. The sweep is the second copy of both.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
pub mod store;

mod body;
pub mod circuit;
mod delivery_outcome;
mod post;

use std::time::{Duration, Instant};

use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    events::keys::SharedKeys,
    platform::{
        db::{self, Db},
        logs::context::post_span,
        metrics::{self, Counter},
        queue::{self, DeliveryMessage, Outgoing, SharedQueue, within_reach},
    },
};

use tracing::Instrument;

pub use crate::post::Poster;
use crate::{
    circuit::{OPEN_AFTER, Place, suspension},
    delivery_outcome::{DELIVERY_TRIES, DeliveryOutcome},
    post::{PostResult, Request},
    store::{Delivery, FailedPost, FailedTry},
};

/// A webhook that has accepted nothing for this long is disabled. The tries of a single delivery
/// take less time, so more than one must have failed.
const WEBHOOK_FAILING: TimeDelta = TimeDelta::days(5);
/// After a rotation the previous secret signs too, so that the receiver can be changed in the
/// meantime.
const SECRET_OVERLAP: TimeDelta = TimeDelta::days(1);
/// A run starts its last post within this time. It is less than the time-out of the function by
/// more than the time of a post.
const RUN_TIME: TimeDelta = TimeDelta::seconds(10);

/// Clients of the function.
pub struct Notifier {
    /// The database.
    pub db: Db,
    /// Notify's own queue, for deliveries that are retried soon.
    pub queue: SharedQueue,
    /// The keys from which the webhooks' secrets are derived.
    pub keys: SharedKeys,
    /// The HTTP client.
    pub poster: Poster,
    /// The largest number of simultaneous posts to one webhook whose last post was accepted. To
    /// another one there is one at a time.
    pub healthy_places: u32,
}

/// The parts of a request that a signature covers.
struct SignedContent<'a> {
    id: &'a str,
    timestamp: DateTime<Utc>,
    body: &'a [u8],
}

/// A post that has ended, for the row of its webhook.
struct WebhookPost {
    place: Place,
    outcome: DeliveryOutcome,
}

impl Notifier {
    /// Handles one invocation. Each message is handled on its own; a message that fails is
    /// delivered again.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        queue::handle_each(event, async |message: DeliveryMessage| {
            self.deliver(message).await
        })
        .await
    }

    /// Posts the delivery that the message names, if it is due, and the other due deliveries of its
    /// webhook, until none is left, there is no place, or the time of a run is over.
    pub async fn deliver(&self, message: DeliveryMessage) -> anyhow::Result<()> {
        let last_start = self.db.now() + RUN_TIME;
        loop {
            let now = self.db.now();
            let next = store::next_delivery(&self.db, message, now)
                .await
                .context("looking for the next delivery")?;
            let Some(next) = next else {
                tracing::info!(webhook.id = %message.webhook_id, event.id = %message.event_id, "nothing to deliver");
                return Ok(());
            };
            if now > last_start {
                // Another run continues. If the queue refuses the message, the sweep finds the row.
                self.queue.send(&[Outgoing::delivery(next, now, now)]).await;
                return Ok(());
            }
            if !self.deliver_one(next).await? {
                return Ok(());
            }
        }
    }

    /// Takes a place, claims the delivery, posts it, and records the outcome. Returns false if
    /// there is no place.
    async fn deliver_one(&self, message: DeliveryMessage) -> anyhow::Result<bool> {
        let (db, webhook) = (&self.db, message.webhook_id);
        let taken = db::retry_lock_conflicts(|| {
            store::take_place(db, webhook, self.healthy_places, db.now())
        });
        let Some(place) = taken.await.context("taking a place")? else {
            return self.without_place(message).await;
        };
        let Some(delivery) = self.claim(message).await? else {
            db::retry_lock_conflicts(|| store::return_place(db, webhook, place, db.now()))
                .await
                .context("returning a place")?;
            return Ok(true);
        };
        let begun = Instant::now();
        let span = post_span(message, delivery.schedule_id, delivery.tries);
        let post = self.post(message, &delivery).instrument(span.clone());
        let answer = post.await?;
        let outcome = DeliveryOutcome::of(answer, delivery.tries);
        span.record("http.status", outcome.http_status);
        log_try(message, &delivery, &outcome, begun.elapsed());
        self.record(message, &delivery, &outcome).await?;
        self.update_webhook(message, &delivery, WebhookPost { place, outcome })
            .await
            .context("updating the state of the webhook")?;
        Ok(true)
    }

    /// Deletes the delivery if its webhook is gone, and returns whether it was. Otherwise the
    /// delivery stays due: a post in progress, the probe, or the sweep continues with it.
    async fn without_place(&self, message: DeliveryMessage) -> anyhow::Result<bool> {
        let found = store::read_suspension(&self.db, message.webhook_id)
            .await
            .context("reading the suspension")?;
        if let Some(found) = found {
            tracing::info!(webhook.id = %message.webhook_id, event.id = %message.event_id,
                suspended.until = found.until.map(|until| until.to_rfc3339()), "delivery waits for its webhook");
            return Ok(false);
        }
        store::delete_delivery(&self.db, message)
            .await
            .context("deleting a delivery without a webhook")?;
        Ok(true)
    }

    /// Claims the delivery and reads it.
    ///
    /// Returns `None` if it is over, not due, being posted, or if its webhook is gone. The message
    /// is acknowledged in each case, since the sweep is the second copy of every message.
    async fn claim(&self, message: DeliveryMessage) -> anyhow::Result<Option<Delivery>> {
        let db = &self.db;
        let claimed =
            db::retry_lock_conflicts(|| store::claim_delivery(db, message, db.now())).await;
        if !claimed.context("claiming the delivery")? {
            return Ok(None);
        }
        store::read_delivery(db, message, db.now())
            .await
            .context("reading the delivery")
    }

    /// Posts the event, unless nothing may be posted. No database connection is held meanwhile.
    async fn post(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
    ) -> anyhow::Result<PostResult> {
        if delivery.disabled {
            return Ok(PostResult::Disabled);
        }
        if delivery.tries > DELIVERY_TRIES {
            return Ok(PostResult::None("given up"));
        }
        let timestamp = self.db.now();
        let id = format!("msg_{}", message.event_id);
        let body = body::compose(&self.db, message.event_id, delivery)
            .await
            .context("composing the body")?;
        let content = SignedContent {
            id: &id,
            timestamp,
            body: &body,
        };
        let Some(signatures) = self.sign(message, delivery, &content).await? else {
            return Ok(PostResult::None("key gone"));
        };
        let request = Request {
            url: &delivery.url,
            id: &id,
            timestamp: timestamp.timestamp(),
            signatures,
            body,
        };
        Ok(self.poster.post(request).await)
    }

    /// Signs with the webhook's secret and, for a day after a rotation, with the previous one too.
    /// Returns `None` if the key from which they are derived is gone.
    async fn sign(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
        content: &SignedContent<'_>,
    ) -> anyhow::Result<Option<String>> {
        let now = content.timestamp;
        let overlaps = delivery
            .rotated_at
            .is_some_and(|rotated_at| now < rotated_at + SECRET_OVERLAP);
        let numbers = [
            Some(delivery.secret_no),
            delivery.secret_no.checked_sub(1).filter(|_| overlaps),
        ];
        let mut signatures = Vec::new();
        for secret_no in numbers.into_iter().flatten() {
            let secret = self
                .keys
                .secret(&delivery.key_id, message.webhook_id, secret_no, now)
                .await;
            let Some(secret) = secret.context("reading the keys of the webhooks")? else {
                return Ok(None);
            };
            signatures.push(secret.sign(content.id, now.timestamp(), content.body));
        }
        Ok(Some(signatures.join(" ")))
    }

    /// Records the outcome, and enqueues a retry if one is due soon.
    async fn record(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
        outcome: &DeliveryOutcome,
    ) -> anyhow::Result<()> {
        let (db, now) = (&self.db, self.db.now());
        let posted = if outcome.delivered {
            Counter::EventsDelivered
        } else {
            Counter::EventsFailed
        };
        metrics::count(posted, 1);
        if outcome.delivered {
            let http_status = outcome.http_status.unwrap_or_default();
            db::retry_lock_conflicts(|| store::record_delivered(db, message, http_status))
                .await
                .context("recording a delivery")?;
        } else {
            self.record_failure(message, delivery, outcome, now).await?;
        }
        Ok(())
    }

    async fn record_failure(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
        outcome: &DeliveryOutcome,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let retry_at = outcome
            .retry_after
            .map(|wait| now + TimeDelta::from_std(wait).unwrap_or_default());
        let failed = FailedTry {
            tries: delivery.tries,
            http_status: outcome.http_status,
            error: outcome.error,
            retry_at,
        };
        let recorded =
            db::retry_lock_conflicts(|| store::record_failure(&self.db, message, failed))
                .await
                .context("recording a failure")?;
        if let (true, Some(retry_at)) = (recorded, retry_at)
            && within_reach(retry_at, now)
        {
            // The sweep finds retries that are due later or that the queue refuses.
            self.queue
                .send(&[Outgoing::delivery(message, retry_at, now)])
                .await;
        }
        Ok(())
    }

    /// Returns the place, and updates whether the webhook is failing. Opens the circuit of one that
    /// has failed repeatedly. Disables one that answers "gone" or that has failed for days.
    async fn update_webhook(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
        post: WebhookPost,
    ) -> sqlx::Result<()> {
        let (db, webhook, now) = (&self.db, message.webhook_id, self.db.now());
        let WebhookPost { place, outcome } = post;
        if delivery.disabled {
            return db::retry_lock_conflicts(|| store::return_place(db, webhook, place, now)).await;
        }
        if outcome.delivered {
            return db::retry_lock_conflicts(|| store::record_accepted(db, webhook, place, now))
                .await;
        }
        let failures = delivery.failures.saturating_add(1);
        let suspended_until = suspension(failures, outcome.requested)
            .map(|wait| now + TimeDelta::from_std(wait).unwrap_or_default());
        let failed = FailedPost {
            place,
            now,
            // The lease of a probe ends with it.
            suspended_until: suspended_until.or(delivery.is_probe.then_some(now)),
        };
        db::retry_lock_conflicts(|| store::record_failed_post(db, webhook, failed)).await?;
        if let Some(until) = suspended_until {
            metrics::count(Counter::WebhooksSuspended, 1);
            tracing::warn!(webhook.id = %webhook, webhook.failures = failures, suspended.until = until.to_rfc3339(),
                open = failures >= OPEN_AFTER, "webhook suspended");
            // For the probe; the delivery itself may be due later.
            self.queue
                .send(&[Outgoing::delivery(message, until, now)])
                .await;
        }
        let reason = match delivery.failing_since {
            _ if outcome.gone => "gone",
            Some(since) if since + WEBHOOK_FAILING <= now => "failing",
            _ => return Ok(()),
        };
        if store::disable_webhook(db, webhook, reason, now).await? {
            metrics::count(Counter::WebhooksDisabled, 1);
            tracing::error!(webhook.id = %webhook, reason, "webhook disabled");
        }
        Ok(())
    }
}

/// Logs the outcome of a post.
fn log_try(
    message: DeliveryMessage,
    delivery: &Delivery,
    outcome: &DeliveryOutcome,
    took: Duration,
) {
    let schedule = delivery.schedule_id;
    tracing::info!(
        webhook.id = %message.webhook_id,
        event.id = %message.event_id,
        event.type = delivery.kind,
        schedule.id = schedule.map(|id| id.to_string()),
        trace.id = schedule.map(|id| id.simple().to_string()),
        attempt = delivery.tries,
        http.status = outcome.http_status,
        error = outcome.error,
        delivered = outcome.delivered,
        retry_s = outcome.retry_after.map(|wait| wait.as_secs()),
        duration_ms = took.as_millis() as u64,
        "delivery tried"
    );
}
