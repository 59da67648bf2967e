//! An entry: one batch or schedule that needs an operator, since when, how many recipients wait for
//! it, and the calls that resolve it.

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::schedule::status::ScheduleStatus;
use uuid::Uuid;

use crate::resources::uncertain::request::Outcome;

/// An entry of a list.
#[derive(Debug, JsonSchema, Serialize)]
pub struct AttentionEntry {
    /// The schedule.
    pub schedule_id: Uuid,
    /// The state of the schedule.
    pub schedule_status: ScheduleStatus,
    /// The batch, if the entry is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_no: Option<u32>,
    /// Since when it needs an operator.
    pub since: Option<DateTime<Utc>>,
    /// The number of recipients that wait for it.
    pub recipients: u64,
    /// Further details: times, counters, a reason.
    #[serde(flatten)]
    #[schemars(schema_with = "details_schema")]
    pub details: Value,
    /// The calls that resolve it.
    pub actions: Vec<Action>,
}

/// Returns the schema of the details of a batch, and of a schedule.
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
            json!({"type": ["string", "null"], "description": "Why the system paused it."}),
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

/// A call that resolves an entry, or shows more of it.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Action {
    /// What it does, in a word.
    pub name: &'static str,
    /// Its method.
    #[schemars(extend("enum" = ["GET", "POST"]))]
    pub method: &'static str,
    /// Its path.
    pub href: String,
    /// Its body, if it needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "body_schema")]
    pub body: Option<Value>,
}

impl Action {
    /// Returns a call that reads.
    pub fn get(name: &'static str, href: String) -> Self {
        Self {
            name,
            method: "GET",
            href,
            body: None,
        }
    }

    /// Returns a call without a body.
    pub fn post(name: &'static str, href: String) -> Self {
        Self {
            name,
            method: "POST",
            href,
            body: None,
        }
    }

    /// Returns a move of a schedule, named as its path.
    pub fn of_schedule(id: Uuid, name: &'static str) -> Self {
        Self::post(name, format!("/v1/schedules/{id}/{name}"))
    }

    /// Returns a decision on all UNCERTAIN recipients of a schedule.
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

/// Returns an example of an entry.
pub fn example() -> Value {
    let id = "0190a0b0-c0d0-7080-8000-00000000000f";
    json!({
        "schedule_id": id, "schedule_status": "missed", "since": "2026-12-01T02:00:00Z", "recipients": 2, "run_at": "2026-12-01T01:00:00Z",
        "cut": false, "reason": null,
        "actions": [{"name": "send-now", "method": "POST", "href": format!("/v1/schedules/{id}/send-now")}],
    })
}
