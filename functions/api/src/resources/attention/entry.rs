//! An entry: one schedule that needs an operator, since when, how many people wait for it, and the
//! calls that resolve it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};
use shared::schedule::status::ScheduleStatus;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::{
    attention::store::{Affected, ShownSchedule, load_shown_schedules, uncertain_since},
    schedules::attention::Kind,
    uncertain::request::Outcome,
};

/// An entry of a list.
#[derive(Debug, JsonSchema, Serialize)]
pub struct AttentionEntry {
    /// The schedule.
    pub schedule_id: Uuid,
    /// The state of the schedule.
    pub schedule_status: ScheduleStatus,
    /// The number of recipients that wait for an operator.
    pub people: u64,
    /// The number of batches that do; 0 if the schedule does as a whole.
    pub batches: u64,
    /// Since when the first of them does.
    pub since: Option<DateTime<Utc>>,
    /// The time of the schedule.
    pub run_at: DateTime<Utc>,
    /// Whether the schedule has begun.
    pub cut: bool,
    /// Why the system paused it, else the reason of the caller who did.
    pub reason: Option<String>,
    /// The calls that resolve it.
    pub actions: Vec<Action>,
}

fn body_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "properties": {
        "outcome": {"enum": Outcome::ALL.map(Outcome::as_str)},
        "now": {"type": "boolean"},
    }})
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

    /// Returns a call of a schedule, named as its path.
    pub fn of_schedule(id: Uuid, name: &'static str) -> Self {
        Self::post(name, format!("/v1/schedules/{id}/{name}"))
    }

    /// Returns a decision on all UNCERTAIN recipients of a schedule.
    pub fn resolve(id: Uuid, outcome: &'static str) -> Self {
        Self {
            name: outcome,
            body: Some(json!({"outcome": outcome})),
            ..Self::of_schedule(id, "uncertain")
        }
    }

    fn with_body(self, body: Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }
}

/// Returns these schedules as entries, in this order.
pub async fn read_entries(
    connection: &mut MySqlConnection,
    kind: Kind,
    page: &[Affected],
) -> sqlx::Result<Vec<AttentionEntry>> {
    let ids: Vec<_> = page.iter().map(|affected| affected.schedule_id).collect();
    let shown = load_shown_schedules(connection, &ids).await?;
    let mut shown: HashMap<_, _> = shown.into_iter().map(|row| (row.id, row)).collect();
    let mut entries = Vec::with_capacity(page.len());
    for affected in page {
        // Nothing deletes a schedule, and both are read in one transaction.
        let Some(schedule) = shown.remove(&affected.schedule_id) else {
            continue;
        };
        let since = match kind {
            Kind::Uncertain => uncertain_since(connection, schedule.id).await?,
            _ => affected.since,
        };
        entries.push(entry(kind, affected, since, schedule));
    }
    Ok(entries)
}

fn entry(
    kind: Kind,
    affected: &Affected,
    since: Option<DateTime<Utc>>,
    schedule: ShownSchedule,
) -> AttentionEntry {
    AttentionEntry {
        schedule_id: schedule.id,
        schedule_status: schedule.status,
        people: affected.people,
        batches: affected.batches,
        since,
        run_at: schedule.run_at,
        cut: schedule.batch_count.is_some(),
        actions: actions(kind, &schedule),
        reason: schedule.reason,
    }
}

fn actions(kind: Kind, schedule: &ShownSchedule) -> Vec<Action> {
    let id = schedule.id;
    let of_schedule = |name| Action::of_schedule(id, name);
    let batches =
        |state: &str| Action::get("list", format!("/v1/schedules/{id}/batches?state={state}"));
    match (kind, schedule.status) {
        // Held batches wait with the rest of a paused schedule; they can be sent when the pause is
        // over.
        (Kind::Missed | Kind::Paused, ScheduleStatus::Paused) => {
            // A time that has passed becomes now only if the caller says so.
            let resume = of_schedule("resume");
            let resume = match schedule.batch_count {
                None => resume.with_body(json!({"now": true})),
                Some(_) => resume,
            };
            vec![resume, of_schedule("cancel")]
        }
        (Kind::Missed, _) => vec![of_schedule("send-now"), of_schedule("cancel")],
        (Kind::Uncertain, status) => {
            let list = Action::get(
                "list",
                format!("/v1/schedules/{id}/recipients?status=UNCERTAIN"),
            );
            let mut actions = vec![list, Action::resolve(id, "sent")];
            if status != ScheduleStatus::Cancelled {
                actions.push(Action::resolve(id, "resend"));
            }
            actions
        }
        (Kind::Parked, _) => vec![batches("parked"), of_schedule("retry")],
        // The retry requests a sweep.
        (Kind::Overdue, _) => vec![of_schedule("retry")],
        // The sweep also cuts what has not begun.
        (Kind::NotBegun, _) => vec![of_schedule("retry"), of_schedule("cancel")],
        // The approval names the hash, so that the call is not listed here.
        (Kind::AwaitingApproval, _) => vec![
            Action::get("approval", format!("/v1/schedules/{id}/approval")),
            of_schedule("cancel"),
        ],
        (Kind::Paused | Kind::Drafts, _) => vec![of_schedule("cancel")],
    }
}

/// Returns an example of an entry.
pub fn example() -> Value {
    let id = "0190a0b0-c0d0-7080-8000-00000000000f";
    json!({
        "schedule_id": id, "schedule_status": "missed", "people": 2, "batches": 0, "since": "2026-12-01T02:00:00Z",
        "run_at": "2026-12-01T01:00:00Z", "cut": false, "reason": null,
        "actions": [{"name": "send-now", "method": "POST", "href": format!("/v1/schedules/{id}/send-now")}],
    })
}
