//! `GET /v1/schedules/{id}`, and how a schedule looks in every answer.

use crate::resources::attention::store::{Waiting, count_waiting};
use axum::{Json, extract::State};
use chrono::{DateTime, FixedOffset, Offset, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    message::{
        status::Status,
        template::Template,
        text::{self, ENCODINGS},
        window::Window,
    },
    platform::queue::DispatchMessage,
    schedule::{
        counts::{Counts, count_by_status},
        row::{Schedule, load_schedule},
        status::ScheduleStatus,
    },
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::schedules::{examples::shown, request::ON_UNCERTAIN};
use crate::{
    App,
    http::{error::ApiError, path::Path, query::Query},
    openapi::{CountsSchema, Operation},
};

/// A schedule as a client sees it.
#[derive(Debug, JsonSchema, Serialize)]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
#[schemars(rename = "Schedule")]
pub struct ScheduleView {
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub version: u32,
    /// With the offset that it was given with.
    pub run_at: DateTime<FixedOffset>,
    pub message: String,
    /// Null for a message with variables: it may differ from text to text.
    #[schemars(extend("enum" = ENCODINGS))]
    pub encoding: Option<&'static str>,
    /// Of a message with variables, the most that any of its texts takes.
    pub parts: u16,
    /// What the message takes from each recipient; empty: all get the same.
    pub variables: Vec<String>,
    pub sender: Option<String>,
    pub rate: Option<u32>,
    pub window: Option<Window>,
    pub max_attempts: u32,
    pub max_lateness_s: u32,
    pub resend_within_s: u32,
    #[schemars(extend("enum" = ON_UNCERTAIN))]
    pub on_uncertain: &'static str,
    pub recipients: Totals,
    /// Not in lists: there it would cost a query a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CountsSchema")]
    pub counts: Option<Counts>,
    /// How many messages had gone out, or were just going out: what an HTTP request to the carrier was begun for; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub already_sent: Option<u64>,
    /// What of it needs a person; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
    pub dispatched_by: Option<String>,
    pub dispatched_at: Option<DateTime<Utc>>,
    pub paused_at: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
    pub finished_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// As in the audit log.
    pub created_by: Option<String>,
    pub links: Links,
}

/// Where else to look.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ScheduleLinks")]
pub struct Links {
    /// This schedule.
    #[serde(rename = "self")]
    pub here: String,
    /// Its recipients.
    pub recipients: String,
    /// Its batches.
    pub batches: String,
}

/// What of a schedule needs a person: nothing of it goes on by itself, the UNCERTAIN recipients apart whose carrier can be asked, or
/// that are sent again by policy.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Attention {
    /// Batches of which something was found too late and is held.
    pub missed_batches: u32,
    /// Batches that were claimed three times without a release.
    pub parked_batches: u32,
    /// Recipients UNCERTAIN.
    pub uncertain: u64,
}

/// What came of the list.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "RecipientTotals")]
pub struct Totals {
    /// Distinct valid numbers.
    pub total: u32,
    /// Entries kept as INVALID.
    pub invalid: u32,
    /// Entries left out because their number was there already.
    pub duplicates: u32,
}

impl ScheduleView {
    /// The row, and the counts where they were taken.
    pub fn new(schedule: Schedule, counts: Option<Counts>) -> Self {
        // Written by ourselves, so it reads; were it broken, UTC is still the right moment.
        let offset: FixedOffset = schedule.run_at_offset.parse().unwrap_or_else(|_| Utc.fix());
        let template = Template::parse(&schedule.message).ok().flatten();
        let here = format!("/v1/schedules/{}", schedule.id);
        Self {
            id: schedule.id,
            status: schedule.status,
            version: schedule.version,
            run_at: schedule.run_at.with_timezone(&offset),
            encoding: template
                .is_none()
                .then(|| text::parts(&schedule.message).encoding.as_str()),
            variables: template
                .iter()
                .flat_map(Template::names)
                .map(str::to_owned)
                .collect(),
            message: schedule.message,
            parts: schedule.parts,
            sender: schedule.sender,
            rate: schedule.rate,
            window: Window::of(schedule.send_window.as_deref()),
            max_attempts: schedule.max_resends + 1,
            max_lateness_s: schedule.max_lateness_s,
            resend_within_s: schedule.resend_within_s,
            on_uncertain: schedule.on_uncertain.as_str(),
            recipients: Totals {
                total: schedule.recipient_count,
                invalid: schedule.invalid_count,
                duplicates: schedule.duplicate_count,
            },
            already_sent: counts.as_ref().map(sent),
            counts,
            attention: None,
            dispatched_by: schedule.dispatched_by,
            dispatched_at: schedule.dispatched_at,
            paused_at: schedule.paused_at,
            pause_reason: schedule.pause_reason,
            finished_at: schedule.finished_at,
            created_at: schedule.created_at,
            created_by: schedule.created_by,
            links: Links {
                recipients: format!("{here}/recipients"),
                batches: format!("{here}/batches"),
                here,
            },
        }
    }

    /// What dispatch is told of it.
    pub const fn message(&self) -> DispatchMessage {
        DispatchMessage {
            schedule_id: self.id,
            version: self.version,
        }
    }
}

/// A schedule, its counts and what of it needs a person, which have to be read in one transaction.
pub async fn read_view(
    app: &App,
    transaction: &mut MySqlConnection,
    id: Uuid,
) -> Result<ScheduleView, ApiError> {
    let schedule = load_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let counts = count_by_status(transaction, &schedule).await?;
    let waiting = match schedule.batch_count {
        Some(_) => count_waiting(transaction, id, app.db.now()).await?,
        None => Waiting::default(),
    };
    let uncertain = counts.get(&Status::Uncertain).copied().unwrap_or_default();
    let attention = Attention {
        missed_batches: waiting.missed,
        parked_batches: waiting.parked,
        uncertain,
    };
    Ok(ScheduleView {
        attention: Some(attention),
        ..ScheduleView::new(schedule, Some(counts))
    })
}

/// Answers with the schedule and where its messages are.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let mut transaction = app.db.pool.begin().await?;
    let view = read_view(&app, &mut transaction, id).await;
    transaction.rollback().await?;
    Ok(Json(view?))
}

/// For the document.
pub fn show_doc() -> Operation {
    Operation::new("getSchedule", "schedules", "One of them")
        .text("`counts` is right while it runs; `attention` says what of it may need a person.")
        .answers::<ScheduleView>(200, "The schedule.", shown("scheduled", json!({})))
        .problems(&["not-found"])
}

/// Everything that an HTTP request to the carrier was begun for.
fn sent(counts: &Counts) -> u64 {
    let stayed = |status: &Status| {
        matches!(
            status,
            Status::Pending | Status::Cancelled | Status::Suppressed | Status::Invalid
        )
    };
    counts
        .iter()
        .filter(|(status, _)| !stayed(status))
        .map(|(_, count)| count)
        .sum()
}

/// What isn't an id belongs to no schedule.
pub fn parse_id(id: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(id).map_err(|_| ApiError::no_such_schedule())
}
