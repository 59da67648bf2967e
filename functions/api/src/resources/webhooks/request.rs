//! The bodies with which a webhook is created and changed.

use serde_json::{Value, json};
use shared::events::{
    EventType,
    target::{self, AllowedTargets, LONGEST_URL},
};

use crate::{
    http::{
        error::{ApiError, FieldError},
        fields::Fields,
    },
    openapi::operation::{object, or_null},
    resources::{
        schedules::names::{Labels, labels, labels_edit, labels_schema},
        webhooks::store::Webhook,
    },
};

/// The length of the column `webhooks.description`.
const LONGEST_DESCRIPTION: usize = 255;
const URL: &str = "an absolute URL such as https://example.com/sms-events";

/// A webhook to create.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
pub struct WebhookRequest {
    pub url: String,
    pub events: String,
    pub labels: Option<Labels>,
    pub callback: bool,
    pub description: Option<String>,
}

impl WebhookRequest {
    /// Reads a body. The error names every wrong field.
    pub fn read(body: &[u8], targets: AllowedTargets) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let url = url(&mut fields, targets);
        fields.require("url", URL);
        let events = events(&mut fields);
        fields.require("events", &format!("an array of: {}", event_types()));
        let labels = labels(&mut fields);
        let callback = fields.read_as("callback", "true or false");
        let description = description(&mut fields);
        let errors = fields.finish();
        match (url, events) {
            (Some(url), Some(events)) if errors.is_empty() => Ok(Self {
                url,
                events,
                labels,
                callback: callback.unwrap_or(false),
                description,
            }),
            _ => Err(ApiError::invalid(errors)),
        }
    }
}

/// The fields to change; `None` leaves a field as it is.
#[derive(Debug)]
#[expect(
    clippy::option_option,
    reason = "null removes the description, which differs from leaving it out"
)]
pub struct WebhookEdit {
    url: Option<String>,
    events: Option<String>,
    labels: Option<Option<Labels>>,
    description: Option<Option<String>>,
    /// Whether to disable or enable the webhook.
    pub disabled: Option<bool>,
}

impl WebhookEdit {
    /// Reads a body. The error names every wrong field. A body that changes nothing is an error
    /// too.
    pub fn read(body: &[u8], targets: AllowedTargets) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        for name in ["url", "events", "disabled"] {
            if fields.is_null(name) {
                fields.complain(
                    name,
                    "wrong-type",
                    "expected a value; a field that is left out stays as it is",
                );
            }
        }
        let edit = Self {
            url: url(&mut fields, targets),
            events: events(&mut fields),
            labels: labels_edit(&mut fields),
            description: fields.nullable("description", description),
            disabled: fields.read_as("disabled", "true or false"),
        };
        let mut errors = fields.finish();
        let nothing = edit.url.is_none()
            && edit.events.is_none()
            && edit.labels.is_none()
            && edit.description.is_none()
            && edit.disabled.is_none();
        if errors.is_empty() && nothing {
            errors.push(FieldError::new(
                "",
                "nothing-to-change",
                "expected at least one of: url, events, labels, description, disabled",
            ));
        }
        if errors.is_empty() {
            Ok(edit)
        } else {
            Err(ApiError::invalid(errors))
        }
    }

    /// Applies the changes to a webhook's row, except `disabled`, which needs the time.
    pub fn apply(&self, row: &mut Webhook) {
        if let Some(url) = &self.url {
            row.url.clone_from(url);
        }
        if let Some(events) = &self.events {
            row.events.clone_from(events);
        }
        if let Some(labels) = &self.labels {
            row.labels = labels.as_ref().map(Labels::to_column);
        }
        if let Some(description) = &self.description {
            row.description.clone_from(description);
        }
    }
}

/// Returns the schema of the body that [`WebhookRequest::read`] reads.
pub fn schema() -> Value {
    let mut members = members();
    members["callback"] = json!({"type": ["boolean", "null"], "default": false,
        "description": "It gets events of the schedules that name its URL as `callback_url`, and of no other."});
    object(members, &["url", "events"])
}

/// Returns the schema of the body that [`WebhookEdit::read`] reads.
pub fn edit_schema() -> Value {
    let mut members = members();
    members["disabled"] = json!({"type": "boolean", "description": "`false` also resets the failures, and the reason for which the system disabled it."});
    let mut schema = object(members, &[]);
    schema["minProperties"] = json!(1);
    schema
}

fn members() -> Value {
    let description = json!({"type": "string", "minLength": 1, "maxLength": LONGEST_DESCRIPTION, "pattern": "\\S", "description": "A note."});
    json!({
        "url": {"type": "string", "format": "uri", "maxLength": LONGEST_URL, "description": "An https URL at a public address."},
        "events": {"type": "array", "minItems": 1, "items": {"title": "SubscribedEvent", "type": "string", "enum": EventType::ALL.map(EventType::as_str)},
            "description": "The events to post."},
        "labels": or_null(labels_schema("Only events of schedules with at least one of these labels; null, or none: of all schedules.")),
        "description": or_null(description),
    })
}

fn event_types() -> String {
    EventType::ALL.map(EventType::as_str).join(", ")
}

fn url(fields: &mut Fields, targets: AllowedTargets) -> Option<String> {
    let given: String = fields.read_as("url", URL)?;
    match target::read(&given, targets) {
        Ok(url) => Some(url.into()),
        Err(error) => {
            fields.complain("url", error.code(), error.to_string());
            None
        }
    }
}

/// Reads event types, as the row holds them: each once, in a fixed order.
fn events(fields: &mut Fields) -> Option<String> {
    let given: Vec<String> =
        fields.read_as("events", &format!("an array of: {}", event_types()))?;
    let chosen = EventType::ALL
        .map(EventType::as_str)
        .into_iter()
        .filter(|known| given.iter().any(|name| name == known));
    let chosen: Vec<_> = chosen.collect();
    if chosen.is_empty() || given.iter().any(|name| !chosen.contains(&name.as_str())) {
        fields.complain(
            "events",
            "not-a-choice",
            format!("expected at least one, and only: {}", event_types()),
        );
        return None;
    }
    Some(chosen.join(","))
}

fn description(fields: &mut Fields) -> Option<String> {
    let given = fields.text("description")?;
    if given.trim().is_empty() || given.chars().count() > LONGEST_DESCRIPTION {
        fields.complain(
            "description",
            "out-of-range",
            format!("expected 1 to {LONGEST_DESCRIPTION} characters"),
        );
        return None;
    }
    Some(given)
}
