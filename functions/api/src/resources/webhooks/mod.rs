//! `/v1/webhooks`: URLs of users to which events are posted. A webhook's secret is shown once, when
//! the webhook is created or the secret is rotated; no row, no log and no other answer contains it.
//! The path and the query of a URL may contain a token: callers who may read webhooks see them, but
//! neither a log nor the audit log contains them.

pub mod change;
pub mod create;
pub mod deliveries;
pub mod list;
pub mod remove;
pub mod repeat;
pub mod request;
pub mod rotate;
pub mod routes;
pub mod scope;
pub mod store;
pub mod test;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::events::{EventType, target::without_secrets};
use uuid::Uuid;

use crate::{
    auth::caller::Change,
    http::{
        error::{ApiError, FieldError},
        problems,
    },
    resources::{schedules::names::labels_of, webhooks::store::Webhook},
};

/// The largest number of webhooks without an owner, and of the webhooks of each owner, because each
/// event is recorded for each of them.
pub const MAX_WEBHOOKS: usize = 20;

/// A webhook in an answer.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Webhook")]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
pub struct WebhookView {
    pub id: Uuid,
    pub url: String,
    #[schemars(with = "Vec<EventType>")]
    pub events: Vec<String>,
    /// It gets events of schedules with at least one of these labels; empty: of all schedules.
    pub labels: Vec<String>,
    /// The API key, as in the audit log, that has created it, and that has created the schedules whose events it
    /// gets. Of a callback, whoever has named it. Null: it gets events of all schedules.
    pub owner: Option<String>,
    /// It gets events of the schedules of which it is the callback, and of no other.
    pub callback: bool,
    pub description: Option<String>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub disabled_at: Option<DateTime<Utc>>,
    pub disabled_reason: Option<String>,
    /// When the key that owns it expires; nothing is posted from then on.
    pub expires_at: Option<DateTime<Utc>>,
    pub failing_since: Option<DateTime<Utc>>,
    pub failures: u32,
    pub accepted_at: Option<DateTime<Utc>>,
    pub suspended_until: Option<DateTime<Utc>>,
    pub rotated_at: Option<DateTime<Utc>>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            events: webhook.events.split(',').map(str::to_owned).collect(),
            labels: labels_of(webhook.labels.as_deref()),
            owner: webhook.owner,
            callback: webhook.is_callback,
            description: webhook.description,
            created_at: webhook.created_at,
            created_by: webhook.created_by,
            disabled_at: webhook.disabled_at,
            disabled_reason: webhook.disabled_reason,
            expires_at: webhook.expires_at,
            failing_since: webhook.failing_since,
            failures: webhook.failures,
            accepted_at: webhook.accepted_at,
            suspended_until: webhook.suspended_until,
            rotated_at: webhook.rotated_at,
        }
    }
}

/// A webhook and its secret, which is stored nowhere else.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "WebhookAndSecret")]
pub struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: WebhookView,
    secret: String,
}

/// Returns an example of a webhook.
fn example() -> Value {
    json!({"id": "0190a0b0-c0d0-7080-8000-00000000000e", "url": "https://example.com/sms-events", "events": ["schedule.finished", "messages.final"],
        "labels": ["parcels"], "owner": null, "callback": false, "description": "The shop", "created_at": "2026-12-01T01:00:00Z", "created_by": "user:0190a0b0-c0d0-7080-8000-00000000000a",
        "disabled_at": null, "disabled_reason": null, "expires_at": null, "failing_since": null, "failures": 0, "accepted_at": "2026-12-02T01:00:00Z",
        "suspended_until": null, "rotated_at": null})
}

/// Returns an example of a webhook with its secret.
fn webhook_with_secret_example() -> Value {
    let mut webhook = example();
    webhook["secret"] = json!("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    webhook
}

/// Returns an example of a delivery.
fn delivery_example() -> Value {
    json!({"event_id": "0190a0b0-c0d0-7080-8000-00000000000d", "type": "webhook.test", "schedule_id": null, "status": "pending", "tries": 0,
        "due_at": "2026-12-01T01:00:00Z", "tried_at": null, "http_status": null, "error": null, "created_at": "2026-12-01T01:00:00Z"})
}

/// Returns the members of a webhook that the audit log holds.
fn audit_state(webhook: &Webhook) -> Value {
    json!({"url": without_secrets(&webhook.url), "events": webhook.events, "labels": labels_of(webhook.labels.as_deref()),
        "owner": webhook.owner, "callback": webhook.is_callback, "description": webhook.description,
        "disabled": webhook.disabled_at.is_some()})
}

fn change(
    action: &'static str,
    id: Uuid,
    before: Option<Value>,
    after: Option<Value>,
) -> Change<'static> {
    Change {
        action,
        resource: format!("webhook:{id}"),
        before,
        after,
    }
}

fn parse_id(id: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(id).map_err(|_| no_such_webhook())
}

fn no_such_webhook() -> ApiError {
    ApiError::NotFound("there is no webhook with this id".to_owned())
}

/// Returns an error if the webhook is disabled, or if the key that owns it has expired.
fn require_enabled(webhook: &Webhook, now: DateTime<Utc>) -> Result<(), ApiError> {
    if webhook.disabled_at.is_none() && webhook.expires_at.is_none_or(|end| end > now) {
        return Ok(());
    }
    let expected = "expected a webhook that is not disabled";
    Err(ApiError::Refused(
        &problems::WEBHOOK_DISABLED,
        expected.to_owned(),
    ))
}

/// Returns an error if the owner may have no webhooks any more.
fn owner_lost() -> ApiError {
    let expected =
        "expected an owner that may have webhooks; its key is revoked, or lacks webhooks:own";
    ApiError::Refused(&problems::WEBHOOK_DISABLED, expected.to_owned())
}

/// Returns the error for a callback that its owner has already.
fn url_in_use(error: sqlx::Error) -> ApiError {
    match &error {
        sqlx::Error::Database(found) if found.is_unique_violation() => {
            let expected = "expected a URL of which the owner has no callback; change that one";
            ApiError::invalid(vec![FieldError::new("url", "in-use", expected)])
        }
        _ => error.into(),
    }
}
