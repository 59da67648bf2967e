//! Notify: claims a delivery, posts its event to the webhook's URL, signed, and records the
//! outcome.
//!
//! The input is a message that names a delivery. The output is one request, the delivery's row and,
//! if it failed, a delayed message that names it again. If it runs twice, also at the same time,
//! one run claims the delivery and the other finds nothing to do. If the process ends before the
//! outcome is recorded, the row becomes due again when its lease expires: an event is posted at
//! least once, each time with the same id, by which a receiver recognizes it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod store;

mod body;
mod delivery_outcome;
mod post;

use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    events::keys::SharedKeys,
    platform::{
        db::{self, Db},
        queue::{self, DeliveryMessage, Outgoing, SharedQueue, within_reach},
    },
};

pub use crate::post::Poster;
use crate::{
    delivery_outcome::{DELIVERY_TRIES, DeliveryOutcome},
    post::{PostResult, Request},
    store::{Delivery, FailedTry},
};

/// A webhook that has accepted nothing for this long is disabled. No single delivery is retried for
/// that long, so more than one must have failed.
const WEBHOOK_FAILING: TimeDelta = TimeDelta::days(5);
/// After a rotation the previous secret signs too, so that the receiver can be changed in the
/// meantime.
const SECRET_OVERLAP: TimeDelta = TimeDelta::days(1);

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
}

/// The parts of a request that a signature covers.
struct SignedContent<'a> {
    id: &'a str,
    timestamp: DateTime<Utc>,
    body: &'a [u8],
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

    /// Claims a delivery, posts it, and records the outcome.
    pub async fn deliver(&self, message: DeliveryMessage) -> anyhow::Result<()> {
        let Some(delivery) = self.claim(message).await? else {
            return Ok(());
        };
        let answer = self.post(message, &delivery).await?;
        let outcome = DeliveryOutcome::of(answer, delivery.tries);
        self.record(message, &delivery, &outcome).await
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
            tracing::info!(webhook.id = %message.webhook_id, event.id = %message.event_id, "nothing to deliver");
            return Ok(None);
        }
        let delivery = store::read_delivery(db, message)
            .await
            .context("reading the delivery")?;
        if delivery.is_none() {
            store::delete_delivery(db, message)
                .await
                .context("deleting a delivery without a webhook")?;
        }
        Ok(delivery)
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
        tracing::info!(webhook.id = %message.webhook_id, event.id = %message.event_id, delivery.tries = delivery.tries,
            http.status = outcome.http_status, error = outcome.error, delivered = outcome.delivered, "delivery tried");
        if outcome.delivered {
            let http_status = outcome.http_status.unwrap_or_default();
            db::retry_lock_conflicts(|| store::record_delivered(db, message, http_status))
                .await
                .context("recording a delivery")?;
        } else {
            self.record_failure(message, delivery, outcome, now).await?;
        }
        self.update_webhook(message, delivery, outcome, now)
            .await
            .context("updating the state of the webhook")
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

    /// Updates whether the webhook is failing. Disables one that answers "gone" or that has failed
    /// for days.
    async fn update_webhook(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
        outcome: &DeliveryOutcome,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let (db, webhook) = (&self.db, message.webhook_id);
        let reason = match delivery.failing_since {
            Some(_) if outcome.delivered => return store::clear_failing(db, webhook).await,
            _ if outcome.delivered || delivery.disabled => return Ok(()),
            _ if outcome.gone => "gone",
            Some(since) if since + WEBHOOK_FAILING <= now => "failing",
            Some(_) => return Ok(()),
            None => return store::mark_failing(db, webhook, now).await,
        };
        if store::disable_webhook(db, webhook, reason, now).await? {
            tracing::error!(webhook.id = %webhook, reason, "webhook disabled");
        }
        Ok(())
    }
}
