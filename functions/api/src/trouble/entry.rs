//! One thing that needs a person: what it is, since when, how many recipients it holds up, and the calls that do something about it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// An entry of a list.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Whose it is.
    pub schedule_id: Uuid,
    /// The state of that schedule.
    pub schedule_status: String,
    /// Which batch, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_no: Option<u32>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// How many recipients it holds up.
    pub recipients: u64,
    /// What else there is to know: times, counters, a reason.
    #[serde(flatten)]
    pub details: Value,
    /// What can be done.
    pub actions: Vec<Action>,
}

/// A call.
#[derive(Debug, Serialize)]
pub struct Action {
    /// What it does, in a word.
    pub name: &'static str,
    /// Its method.
    pub method: &'static str,
    /// Its path.
    pub href: String,
    /// Its body, where it needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Action {
    /// A look at something.
    pub fn get(name: &'static str, href: String) -> Self {
        Self { name, method: "GET", href, body: None }
    }

    /// A call without a body.
    pub fn post(name: &'static str, href: String) -> Self {
        Self { name, method: "POST", href, body: None }
    }

    /// A move of a schedule, named as its path.
    pub fn of_schedule(id: Uuid, name: &'static str) -> Self {
        Self::post(name, format!("/v1/schedules/{id}/{name}"))
    }

    /// A decision on all UNCERTAIN recipients of a schedule.
    pub fn resolve(id: Uuid, outcome: &'static str) -> Self {
        let body = Some(json!({"outcome": outcome}));
        Self { name: outcome, method: "POST", href: format!("/v1/schedules/{id}/uncertain"), body }
    }
}
