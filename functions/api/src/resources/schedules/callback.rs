//! The field `callback_url` of a schedule: its events go to this URL too.

use serde_json::{Value, json};
use shared::{
    access::Permission::{WebhooksOwn, WebhooksWrite},
    events::target::{self, AllowedTargets, LONGEST_URL},
};

use crate::{
    auth::Caller,
    http::{error::ApiError, fields::Fields},
};

/// Reads the field `callback_url`, in the form of `webhooks.url`.
pub fn read(fields: &mut Fields, targets: AllowedTargets) -> Option<String> {
    let given = fields.text("callback_url")?;
    match target::read(&given, targets) {
        Ok(url) => Some(url.into()),
        Err(error) => {
            fields.complain("callback_url", error.code(), error.to_string());
            None
        }
    }
}

/// Returns the schema of the field.
pub fn schema() -> Value {
    json!({"type": "string", "format": "uri", "maxLength": LONGEST_URL,
        "description": "An https URL at a public address, to which the events of this schedule are posted too, as to a webhook. \
            Needs `webhooks:own`, for a schedule that the caller has created, or `webhooks:write`."})
}

/// Returns an error if the caller may not name the callback of a schedule of this creator.
pub fn allow(caller: &Caller, created_by: Option<&str>) -> Result<(), ApiError> {
    if caller.permissions.contains(&WebhooksWrite) {
        return Ok(());
    }
    if !caller.permissions.contains(&WebhooksOwn) {
        return Err(ApiError::Forbidden(Some(WebhooksOwn)));
    }
    if created_by == Some(caller.actor().as_str()) {
        return Ok(());
    }
    Err(ApiError::Forbidden(Some(WebhooksWrite)))
}
