//! One thing that needs a person: what it is, since when, how many recipients it holds up, and the calls that do something about it.

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::schedule::status::ScheduleStatus;
use uuid::Uuid;

use crate::resources::uncertain::request::Outcome;

/// An entry of a list.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "TroubleEntry")]
pub struct Entry {
    /// Whose it is.
    pub schedule_id: Uuid,
    /// The state of that schedule.
    #[schemars(with = "ScheduleStatus")]
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
    #[schemars(schema_with = "details_schema")]
    pub details: Value,
    /// What can be done.
    pub actions: Vec<Action>,
}

/// What there may be of a batch, and of a schedule.
fn details_schema(_: &mut SchemaGenerator) -> Schema {
    let (count, time) = (
        json!({"type": "integer", "minimum": 0}),
        json!({"type": ["string", "null"], "format": "date-time"}),
    );
    let counts =
        ["first_seq", "last_seq", "crashes", "tries", "requeues"].map(|name| (name, count.clone()));
    let times = [
        "planned_at",
        "send_at",
        "check_at",
        "sweep_at",
        "missed_at",
        "claimed_until",
        "run_at",
    ]
    .map(|name| (name, time.clone()));
    let others = [
        (
            "cut",
            json!({"type": "boolean", "description": "Whether the schedule has begun."}),
        ),
        (
            "reason",
            json!({"type": ["string", "null"], "description": "Why the system has paused it."}),
        ),
    ];
    let all: Map<_, _> = counts
        .into_iter()
        .chain(times)
        .chain(others)
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    json_schema!({"type": "object", "properties": all})
}

fn body_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "properties": {"outcome": {"enum": Outcome::ALL.map(Outcome::as_str)}}, "required": ["outcome"]})
}

/// A call.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Action {
    /// What it does, in a word.
    pub name: &'static str,
    /// Its method.
    #[schemars(extend("enum" = ["GET", "POST"]))]
    pub method: &'static str,
    /// Its path.
    pub href: String,
    /// Its body, where it needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "body_schema")]
    pub body: Option<Value>,
}

impl Action {
    /// A look at something.
    pub fn get(name: &'static str, href: String) -> Self {
        Self {
            name,
            method: "GET",
            href,
            body: None,
        }
    }

    /// A call without a body.
    pub fn post(name: &'static str, href: String) -> Self {
        Self {
            name,
            method: "POST",
            href,
            body: None,
        }
    }

    /// A move of a schedule, named as its path.
    pub fn of_schedule(id: Uuid, name: &'static str) -> Self {
        Self::post(name, format!("/v1/schedules/{id}/{name}"))
    }

    /// A decision on all UNCERTAIN recipients of a schedule.
    pub fn resolve(id: Uuid, outcome: &'static str) -> Self {
        let body = Some(json!({"outcome": outcome}));
        Self {
            name: outcome,
            method: "POST",
            href: format!("/v1/schedules/{id}/uncertain"),
            body,
        }
    }
}

/// For the document.
pub fn example() -> Value {
    let id = "0190a0b0-c0d0-7080-8000-00000000000f";
    json!({
        "schedule_id": id, "schedule_status": "missed", "since": "2026-12-01T02:00:00Z", "recipients": 2, "run_at": "2026-12-01T01:00:00Z",
        "cut": false, "reason": null,
        "actions": [{"name": "send-now", "method": "POST", "href": format!("/v1/schedules/{id}/send-now")}],
    })
}
