//! `GET /v1/audit`: lists changes, newest first, filtered by time, actor, resource and action.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};
use shared::{access::audit::AuditEntry, events::secret::ERASED, message::phone::Phone};
use uuid::Uuid;

use crate::{
    App,
    http::{
        error::ApiError,
        query::{LIMIT, Query, TOKEN},
    },
    openapi::{Operation, parameters},
    resources::audit::store::{Filter, first_id, page_of_entries, time_of},
};

/// A page of entries.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "AuditPage")]
pub struct Page {
    entries: Vec<EntryView>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// An entry of the audit log.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "AuditEntry")]
struct EntryView {
    id: Uuid,
    at: DateTime<Utc>,
    actor: String,
    actor_name: String,
    address: String,
    request_id: String,
    action: String,
    resource: String,
    #[schemars(with = "Option<Map<String, Value>>", extend("title" = "AuditState"))]
    before: Option<Box<RawValue>>,
    #[schemars(with = "Option<Map<String, Value>>", extend("title" = "AuditState"))]
    after: Option<Box<RawValue>>,
}

impl From<AuditEntry> for EntryView {
    fn from(entry: AuditEntry) -> Self {
        // The API wrote these columns, so they parse.
        let parsed = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        Self {
            id: entry.id,
            at: time_of(entry.id),
            actor: entry.actor,
            actor_name: entry.actor_name,
            address: entry.address,
            request_id: entry.request_id,
            action: entry.action,
            resource: entry.resource,
            before: parsed(entry.state_before),
            after: parsed(entry.state_after),
        }
    }
}

/// Returns 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let limit = query.limit(LIMIT);
    let from = query.time("from").map_or(Uuid::nil(), first_id);
    let to = query.time("to").map_or(Uuid::max(), first_id);
    let before = query
        .cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('a')?).ok())
        .unwrap_or(Uuid::max());
    let filter = Filter {
        actor: query.text("actor"),
        resource: query
            .text("resource")
            .map(|resource| by_hash(&app, resource)),
        action: query.token("action"),
        from,
        before: to.min(before),
    };
    query.finish()?;
    let entries = page_of_entries(&mut *app.db.acquire().await?, &filter, limit).await?;
    let last = entries.last().filter(|_| entries.len() == limit as usize);
    let next_cursor = last.map(|last| format!("a{}", last.id.simple()));
    Ok(Json(Page {
        entries: entries.into_iter().map(EntryView::from).collect(),
        next_cursor,
    }))
}

/// Replaces the number in the name of a suppression or a person by its hash, as the log has it.
fn by_hash(app: &App, resource: String) -> String {
    let kinds = ["suppression:", "person:"];
    let given = kinds
        .iter()
        .find_map(|kind| Some((kind, resource.strip_prefix(kind)?)));
    match given.and_then(|(kind, number)| Some((kind, Phone::parse(number).ok()?))) {
        Some((kind, phone)) => {
            let hash = app.webhook_keys.current().person_hash(&phone.to_string());
            format!("{kind}{}", hash.trim_start_matches(ERASED))
        }
        None => resource,
    }
}

/// Describes `GET /v1/audit` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let entry = json!({
        "id": "0190a0b0-c0d0-7080-8000-00000000000f",
        "at": "2026-12-01T01:00:00Z",
        "actor": "user:0190a0b0-c0d0-7080-8000-00000000000e",
        "actor_name": "ana",
        "address": "192.0.2.1",
        "request_id": "0190a0b0-c0d0-7080-8000-00000000000d",
        "action": "schedule.pause",
        "resource": "schedule:0190a0b0-c0d0-7080-8000-00000000000c",
        "before": {"status": "running"},
        "after": {"status": "paused"},
    });
    Operation::new("listAudit", "audit", "List changes")
        .text("Newest first.")
        .queries([
            parameters::time("from", "Only changes at this time or later."),
            parameters::time("to", "Only changes before this time."),
        ])
        .query(
            "actor",
            json!({"type": "string"}),
            "The actor: `user:ID`, `key:ID` or `issuer:ISSUER#SUBJECT`.",
        )
        .query(
            "resource",
            json!({"type": "string"}),
            "The changed resource, such as `schedule:ID`. The log has no numbers: `suppression:+60123456789` and `person:+60123456789` are searched by the keyed hash of the number.",
        )
        .query(
            "action",
            json!({"type": "string", "pattern": TOKEN}),
            "The action, such as `schedule.pause`.",
        )
        .queries(parameters::page(LIMIT))
        .answers::<Page>(
            200,
            "A page.",
            json!({"entries": [entry], "next_cursor": null}),
        )
}
