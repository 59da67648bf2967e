//! Notify: claims a delivery, posts its event to the webhook's URL, signed, and records what came of it.
//!
//! In comes the name of a delivery; out go one request, its row, and, where it failed, its name again with a delay. Run twice, or twice
//! at once, one run claims it and the other finds nothing to do. Who dies between the request and the record leaves a row that is due
//! again after its lease: an event arrives at least once, each time under the same id, by which a receiver knows it again.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod store;

mod body;
mod post;
mod verdict;

use crate::store::{Delivery, Tried};
use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, TimeDelta, Utc};
pub use post::Poster;
use shared::{
    events::keys::SharedKeys,
    platform::{
        db::{self, Db},
        queue::{self, DeliveryMessage, Outgoing, SharedQueue, within_reach},
    },
};

use crate::{
    post::{Answer, Request},
    verdict::{DELIVERY_TRIES, StatusUpdate, judge},
};

/// A webhook that has accepted nothing for this long is disabled. It is longer than any one delivery
/// is tried, so it takes more than one failed delivery.
const WEBHOOK_FAILING: TimeDelta = TimeDelta::days(5);
/// After a rotation the previous secret signs too, so that the receiver can be changed meanwhile.
const SECRET_OVERLAP: TimeDelta = TimeDelta::days(1);

/// Clients and settings of the function.
pub struct Notifier {
    /// The database.
    pub db: Db,
    /// Its own queue: what is tried again soon.
    pub queue: SharedQueue,
    /// What the webhooks' secrets are made of.
    pub keys: SharedKeys,
    /// The way out.
    pub poster: Poster,
}

impl Notifier {
    /// One invocation: each message on its own; what fails comes again.
    pub async fn handle(&self, event: SqsEvent) -> SqsBatchResponse {
        queue::handle_each(event, async |message: DeliveryMessage| {
            self.deliver(message).await
        })
        .await
    }

    /// Claim, post, record.
    pub async fn deliver(&self, message: DeliveryMessage) -> anyhow::Result<()> {
        let Some(delivery) = self.claim(message).await? else {
            return Ok(());
        };
        let answer = self.post(message, &delivery).await?;
        self.record(message, &delivery, judge(answer, delivery.tries))
            .await
    }

    /// `None`: over, not due, being posted, or its webhook is gone; the message is acknowledged all the same, since the sweep is the
    /// second copy of each.
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
                .context("deleting a delivery to nobody")?;
        }
        Ok(delivery)
    }

    /// Makes the request, where there is to be one. No connection to the database is held meanwhile.
    async fn post(&self, message: DeliveryMessage, delivery: &Delivery) -> anyhow::Result<Answer> {
        if delivery.disabled {
            return Ok(Answer::Disabled);
        }
        if delivery.tries > DELIVERY_TRIES {
            return Ok(Answer::None("given up"));
        }
        let now = self.db.now();
        let id = format!("msg_{}", message.event_id);
        let body = body::compose(&self.db, message.event_id, delivery)
            .await
            .context("composing what is posted")?;
        let Some(signatures) = self.sign(message, delivery, (&id, &body), now).await? else {
            return Ok(Answer::None("key gone"));
        };
        let request = Request {
            url: &delivery.url,
            id: &id,
            timestamp: now.timestamp(),
            signatures,
            body,
        };
        Ok(self.poster.post(request).await)
    }

    /// By the webhook's secret; for a day after a rotation by the one before too. `None`: the key is gone that they are made of.
    async fn sign(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
        (id, body): (&str, &[u8]),
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<String>> {
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
                .secret(&delivery.key_id, (message.webhook_id, secret_no), now)
                .await;
            let Some(secret) = secret.context("reading the keys of the webhooks")? else {
                return Ok(None);
            };
            signatures.push(secret.sign(id, now.timestamp(), body));
        }
        Ok(Some(signatures.join(" ")))
    }

    /// Writes down what came of it, and has it tried again.
    async fn record(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
        verdict: StatusUpdate,
    ) -> anyhow::Result<()> {
        let (db, now) = (&self.db, self.db.now());
        let StatusUpdate {
            http_status, error, ..
        } = verdict;
        tracing::info!(webhook.id = %message.webhook_id, event.id = %message.event_id, delivery.tries = delivery.tries,
            http.status = http_status, error, delivered = verdict.delivered, "delivery tried");
        if verdict.delivered {
            let delivered =
                || store::record_delivered(db, message, http_status.unwrap_or_default());
            db::retry_lock_conflicts(delivered)
                .await
                .context("recording a delivery")?;
        } else {
            let again_at = verdict
                .again_after
                .map(|wait| now + TimeDelta::from_std(wait).unwrap_or_default());
            let tried = Tried {
                tries: delivery.tries,
                http_status,
                error,
                again_at,
            };
            let recorded =
                db::retry_lock_conflicts(|| store::record_failure(db, message, tried)).await;
            if let (true, Some(again_at)) = (recorded.context("recording a failure")?, again_at)
                && within_reach(again_at, now)
            {
                // What is due later, and what the queue does not take, the sweep finds.
                self.queue
                    .send(&[Outgoing::delivery(message, again_at, now)])
                    .await;
            }
        }
        self.note(message, delivery, &verdict, now)
            .await
            .context("noting how the webhook does")
    }

    /// How the webhook does: one that wants nothing any more, or has failed for days, is disabled.
    async fn note(
        &self,
        message: DeliveryMessage,
        delivery: &Delivery,
        verdict: &StatusUpdate,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let (db, webhook) = (&self.db, message.webhook_id);
        let reason = match delivery.failing_since {
            Some(_) if verdict.delivered => return store::note_success(db, webhook).await,
            _ if verdict.delivered || delivery.disabled => return Ok(()),
            _ if verdict.gone => "gone",
            Some(since) if since + WEBHOOK_FAILING <= now => "failing",
            Some(_) => return Ok(()),
            None => return store::note_failure(db, webhook, now).await,
        };
        if store::disable_webhook(db, webhook, reason, now).await? {
            tracing::error!(webhook.id = %webhook, reason, "webhook disabled");
        }
        Ok(())
    }
}
