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
pub mod store;
pub mod test;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{events::EventType, platform::secret::hash_token};
use uuid::Uuid;

use crate::{
    auth::caller::Change,
    http::{error::ApiError, problems},
    resources::webhooks::store::Webhook,
};

/// The largest number of webhooks, because each event is recorded for each of them.
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
    pub description: Option<String>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub disabled_at: Option<DateTime<Utc>>,
    pub disabled_reason: Option<String>,
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
            description: webhook.description,
            created_at: webhook.created_at,
            created_by: webhook.created_by,
            disabled_at: webhook.disabled_at,
            disabled_reason: webhook.disabled_reason,
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
        "description": "The shop", "created_at": "2026-12-01T01:00:00Z", "created_by": "user:0190a0b0-c0d0-7080-8000-00000000000a",
        "disabled_at": null, "disabled_reason": null, "failing_since": null, "failures": 0, "accepted_at": "2026-12-02T01:00:00Z",
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
    json!({"url": without_secrets(&webhook.url), "events": webhook.events, "description": webhook.description,
        "disabled": webhook.disabled_at.is_some()})
}

/// Returns the scheme and the host of a URL, and four bytes of the hash of all of it, by which a
/// change is seen. The path and the query of a webhook often contain a secret.
fn without_secrets(url: &str) -> String {
    let host = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
    let hash = hash_token(url);
    let [a, b, c, d, ..] = hash[..] else {
        return String::new();
    };
    format!(
        "{}/… (SHA-256 {a:02x}{b:02x}{c:02x}{d:02x}…)",
        host.unwrap_or_default()
    )
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

/// Returns the webhook, or an error if it is missing or disabled.
fn enabled(webhook: Option<Webhook>) -> Result<Webhook, ApiError> {
    let webhook = webhook.ok_or_else(no_such_webhook)?;
    match webhook.disabled_at {
        None => Ok(webhook),
        Some(_) => Err(ApiError::Refused(
            &problems::WEBHOOK_DISABLED,
            "expected a webhook that is not disabled".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_path_nor_query_of_a_url_is_recorded() {
        let urls = [
            "https://example.com/hook/hunter2",
            "https://example.com/hook?token=hunter2",
            "https://example.com/#hunter2",
            "https://ana:hunter2@example.com/",
        ];
        let shown = urls.map(without_secrets);
        for (at, shown) in shown.iter().enumerate() {
            assert!(
                shown.starts_with("https://example.com/… (SHA-256 "),
                "{shown}"
            );
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(
                shown,
                &without_secrets(urls[at]),
                "the same for the same URL"
            );
        }
        assert_ne!(shown[0], shown[1], "a change is seen");
    }
}
