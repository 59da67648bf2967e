//! What a client says about a webhook.

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
    resources::webhooks::store::Webhook,
};

/// `webhooks.description` has so much room.
const LONGEST_DESCRIPTION: usize = 255;
const URL: &str = "an absolute URL such as https://example.com/sms-events";

/// What is wanted of a new webhook.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
pub struct WebhookRequest {
    pub url: String,
    pub events: String,
    pub description: Option<String>,
}

impl WebhookRequest {
    /// Reads a body, or tells every wrong field.
    pub fn read(body: &[u8], reach: AllowedTargets) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let url = url(&mut fields, reach);
        fields.require("url", URL);
        let events = events(&mut fields);
        fields.require("events", &format!("an array of: {}", words()));
        let description = description(&mut fields);
        let errors = fields.finish();
        match (url, events) {
            (Some(url), Some(events)) if errors.is_empty() => Ok(Self {
                url,
                events,
                description,
            }),
            _ => Err(ApiError::invalid(errors)),
        }
    }
}

/// What is to change; none: it stays.
#[derive(Debug)]
#[expect(
    clippy::option_option,
    reason = "null takes the description away, which is told from leaving it out"
)]
pub struct Edit {
    url: Option<String>,
    events: Option<String>,
    description: Option<Option<String>>,
    /// Whether nothing is to be posted any more, or everything again.
    pub disabled: Option<bool>,
}

impl Edit {
    /// Reads a body: every wrong field is told, and so is a body that changes nothing.
    pub fn read(body: &[u8], reach: AllowedTargets) -> Result<Self, ApiError> {
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
            url: url(&mut fields, reach),
            events: events(&mut fields),
            description: fields.nullable("description", description),
            disabled: fields.read_as("disabled", "true or false"),
        };
        let mut errors = fields.finish();
        let nothing = edit.url.is_none()
            && edit.events.is_none()
            && edit.description.is_none()
            && edit.disabled.is_none();
        if errors.is_empty() && nothing {
            errors.push(FieldError::new(
                "",
                "nothing-to-change",
                "expected at least one of: url, events, description, disabled",
            ));
        }
        if errors.is_empty() {
            Ok(edit)
        } else {
            Err(ApiError::invalid(errors))
        }
    }

    /// Changes a webhook's row, less what has to do with time.
    pub fn apply(&self, row: &mut Webhook) {
        if let Some(url) = &self.url {
            row.url.clone_from(url);
        }
        if let Some(events) = &self.events {
            row.events.clone_from(events);
        }
        if let Some(description) = &self.description {
            row.description.clone_from(description);
        }
    }
}

/// For the document: what [`WebhookRequest::read`] takes.
pub fn schema() -> Value {
    object(members(), &["url", "events"])
}

/// For the document: what [`Edit::read`] takes.
pub fn edit_schema() -> Value {
    let mut members = members();
    members["disabled"] = json!({"type": "boolean", "description": "`false` also forgets why the system disabled it, and that it failed."});
    let mut schema = object(members, &[]);
    schema["minProperties"] = json!(1);
    schema
}

fn members() -> Value {
    let description = json!({"type": "string", "minLength": 1, "maxLength": LONGEST_DESCRIPTION, "pattern": "\\S", "description": "For people."});
    json!({
        "url": {"type": "string", "format": "uri", "maxLength": LONGEST_URL, "description": "By https, to a public address."},
        "events": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": EventType::ALL.map(EventType::as_str)},
            "description": "What it wants to be told."},
        "description": or_null(description),
    })
}

fn words() -> String {
    EventType::ALL.map(EventType::as_str).join(", ")
}

fn url(fields: &mut Fields, reach: AllowedTargets) -> Option<String> {
    let given: String = fields.read_as("url", URL)?;
    match target::read(&given, reach) {
        Ok(url) => Some(url.into()),
        Err(error) => {
            fields.complain("url", error.code(), error.to_string());
            None
        }
    }
}

/// Types of events, as the row holds them: each once, in one order.
fn events(fields: &mut Fields) -> Option<String> {
    let given: Vec<String> = fields.read_as("events", &format!("an array of: {}", words()))?;
    let wanted = EventType::ALL
        .map(EventType::as_str)
        .into_iter()
        .filter(|known| given.iter().any(|word| word == known));
    let wanted: Vec<_> = wanted.collect();
    if wanted.is_empty() || given.iter().any(|word| !wanted.contains(&word.as_str())) {
        fields.complain(
            "events",
            "not-a-choice",
            format!("expected at least one, and only: {}", words()),
        );
        return None;
    }
    Some(wanted.join(","))
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
