//! `GET /v1/schedules/{id}`, and the form of a schedule in every answer.

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
        counts::Counts,
        outcome::ScheduleOutcome,
        priority::Priority,
        row::{Schedule, load_schedule},
        status::ScheduleStatus,
    },
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    http::{error::ApiError, path::Path, query::Query, transaction::transaction},
    openapi::{CountsSchema, Operation},
    resources::schedules::{
        canary::CanaryView,
        cost::{self, ScheduleCost},
        edit::end_of,
        examples::{forecast_example, shown},
        forecast::{Forecast, Forecaster},
        names::labels_of,
        progress::{Attention, Progress, read_progress},
        request::{ON_UNCERTAIN, UNIQUE_BY},
        summary::ScheduleSummary,
    },
};

/// A schedule in an answer.
#[derive(Debug, JsonSchema, Serialize)]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
#[schemars(rename = "Schedule")]
pub struct ScheduleView {
    pub id: Uuid,
    pub name: Option<String>,
    pub reference: Option<String>,
    pub labels: Vec<String>,
    /// The webhook that was made of `callback_url`: what is posted there is among its deliveries.
    pub callback_webhook_id: Option<Uuid>,
    pub status: ScheduleStatus,
    pub version: u32,
    /// With the offset with which it was given.
    pub run_at: DateTime<FixedOffset>,
    pub message: String,
    /// Null for a message with variables, because it may differ between texts.
    #[schemars(extend("title" = "Encoding", "enum" = ENCODINGS))]
    pub encoding: Option<&'static str>,
    /// For a message with variables: the largest number of parts of any of its texts.
    pub parts: u16,
    /// The variables that the message takes from each recipient; empty if all recipients get the
    /// same text.
    pub variables: Vec<String>,
    pub sender: Option<String>,
    pub rate: Option<u32>,
    /// If nobody has chosen it, it follows from the number of recipients.
    pub priority: Priority,
    pub window: Option<Window>,
    pub max_attempts: u32,
    pub max_lateness_s: u32,
    /// The end, with the offset of `run_at`: what has not been sent by then ends EXPIRED. Null:
    /// there is no end.
    pub send_until: Option<DateTime<FixedOffset>>,
    /// Null unless the end was given as seconds after `run_at`.
    pub send_within_s: Option<u32>,
    pub resend_within_s: u32,
    #[schemars(extend("title" = "OnUncertain", "enum" = ON_UNCERTAIN))]
    pub on_uncertain: &'static str,
    /// What no two recipients have in common.
    #[schemars(extend("title" = "UniqueBy", "enum" = UNIQUE_BY))]
    pub unique_by: &'static str,
    pub recipients: RecipientTotals,
    /// Until this time the schedule has certainly not begun, so that its text, window and list can be
    /// changed. Null if it does not begin by itself, or has begun.
    pub changeable_until: Option<DateTime<FixedOffset>>,
    /// When it is sent next: when it begins, when its next batch is due, or when its window opens. A
    /// time that has passed: it is being sent, or waits for its turn. Null: nothing is to come.
    pub next_send_at: Option<DateTime<FixedOffset>>,
    /// Exact in the answer for a single schedule. In lists, what a worker is just sending is counted
    /// when its pass over the batch ends.
    #[schemars(with = "CountsSchema")]
    pub counts: Counts,
    /// The first recipients, after which the rest waits; null: there is no canary. Its figures are
    /// counted in the answer for a single schedule; in lists they are those of the decision.
    pub canary: Option<CanaryView>,
    /// What it has come to. Only of a finished schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ScheduleOutcome")]
    pub outcome: Option<ScheduleOutcome>,
    /// How long its messages took. Only of a finished schedule; null until it is computed, within
    /// minutes after the end.
    pub summary: Option<ScheduleSummary>,
    /// When it is sent. Only in the answers to GET, and only while it is scheduled or running.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Forecast")]
    pub forecast: Option<Forecast>,
    /// What it costs. Only in the answer to GET for a single schedule, and only if it has prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ScheduleCost")]
    pub cost: Option<ScheduleCost>,
    /// The number of messages for which an HTTP request to the carrier was begun.
    pub already_sent: u64,
    /// The parts of it that need an operator.
    pub attention: Attention,
    /// `schedules.opens_at`
    #[serde(skip)]
    #[schemars(skip)]
    pub opens_at: Option<DateTime<Utc>>,
    pub dispatched_by: Option<String>,
    pub dispatched_at: Option<DateTime<Utc>>,
    pub paused_at: Option<DateTime<Utc>>,
    /// Why the system paused it; null if it did not.
    pub pause_reason: Option<String>,
    /// The reason that the caller of its pause or cancel has given.
    pub reason: Option<String>,
    pub finished_at: Option<DateTime<Utc>>,
    /// When its text, and the numbers, variables and references of its recipients were erased, because
    /// they were kept for as long as the deployment keeps them. Null: they are still there.
    pub personal_data_erased_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// The actor, as in the audit log.
    pub created_by: Option<String>,
    /// The finished schedule whose recipients it sends to again.
    pub resend_of: Option<Uuid>,
    /// The newest schedule that sends again to recipients of this one.
    pub resent_by: Option<Uuid>,
    pub links: Links,
}

/// Paths to more of the schedule.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ScheduleLinks")]
pub struct Links {
    /// This schedule.
    #[serde(rename = "self")]
    pub itself: String,
    /// Its recipients.
    pub recipients: String,
    /// Its batches.
    pub batches: String,
}

/// The result of the list.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RecipientTotals {
    /// Distinct valid numbers.
    pub total: u32,
    /// Entries kept as INVALID.
    pub invalid: u32,
    /// Entries left out because their number was in the list already.
    pub duplicates: u32,
}

impl RecipientTotals {
    /// Returns the totals of a row.
    pub const fn of(schedule: &Schedule) -> Self {
        Self {
            total: schedule.recipient_count,
            invalid: schedule.invalid_count,
            duplicates: schedule.duplicate_count,
        }
    }
}

impl ScheduleView {
    /// Builds the view from the row and its progress.
    pub fn new(schedule: Schedule, progress: Progress) -> Self {
        // The API wrote this column, so it parses; if it did not, UTC would still give the right
        // moment.
        let offset: FixedOffset = schedule.run_at_offset.parse().unwrap_or_else(|_| Utc.fix());
        let shown = |time: DateTime<Utc>| time.with_timezone(&offset);
        let template = Template::parse(&schedule.message).ok().flatten();
        let here = format!("/v1/schedules/{}", schedule.id);
        let end = end_of(&schedule).at(schedule.run_at);
        let recipients = RecipientTotals::of(&schedule);
        Self {
            id: schedule.id,
            name: schedule.name,
            reference: schedule.reference,
            labels: labels_of(schedule.labels.as_deref()),
            callback_webhook_id: schedule.callback_id,
            status: schedule.status,
            version: schedule.version,
            run_at: shown(schedule.run_at),
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
            priority: schedule.priority,
            window: Window::of(schedule.send_window.as_deref()),
            max_attempts: schedule.max_resends + 1,
            max_lateness_s: schedule.max_lateness_s,
            send_until: end.map(shown),
            send_within_s: schedule.send_within_s,
            resend_within_s: schedule.resend_within_s,
            on_uncertain: schedule.on_uncertain.as_str(),
            unique_by: schedule.unique_by.as_str(),
            recipients,
            opens_at: schedule.opens_at,
            forecast: None,
            cost: None,
            changeable_until: progress.changeable_until.map(shown),
            next_send_at: progress.next_send_at.map(shown),
            outcome: ScheduleOutcome::of(schedule.status, &progress.counts),
            summary: progress.summary,
            canary: progress.canary,
            already_sent: sent(&progress.counts),
            counts: progress.counts,
            attention: progress.attention,
            dispatched_by: schedule.dispatched_by,
            dispatched_at: schedule.dispatched_at,
            paused_at: schedule.paused_at,
            pause_reason: schedule.pause_reason,
            reason: schedule.reason,
            finished_at: schedule.finished_at,
            personal_data_erased_at: schedule.personal_data_erased_at,
            created_at: schedule.created_at,
            created_by: schedule.created_by,
            resend_of: progress.resend_of,
            resent_by: progress.resent_by,
            links: Links {
                recipients: format!("{here}/recipients"),
                batches: format!("{here}/batches"),
                itself: here,
            },
        }
    }

    /// Returns when it begins, for one that has not begun.
    pub fn starts_at(&self) -> DateTime<Utc> {
        self.opens_at.unwrap_or_else(|| self.run_at.to_utc())
    }

    /// Returns the message to dispatch that names this schedule and version.
    pub const fn message(&self) -> DispatchMessage {
        DispatchMessage {
            schedule_id: self.id,
            version: self.version,
        }
    }
}

/// Reads a schedule, its counts and the parts that need an operator, which have to be read in one
/// transaction.
pub async fn read_view(
    app: &App,
    transaction: &mut MySqlConnection,
    id: Uuid,
) -> Result<ScheduleView, ApiError> {
    let schedule = load_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let progress = read_progress(app, transaction, &schedule).await?;
    Ok(ScheduleView::new(schedule, progress))
}

/// Returns 200 with the schedule and its counts.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<ScheduleView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let app = &app;
    let mut view = transaction(&app.db, |transaction| {
        Box::pin(async move {
            let mut view = read_view(app, transaction, id).await?;
            view.cost = ScheduleCost::read(transaction, id, view.dispatched_at.is_some()).await?;
            Ok(view)
        })
    })
    .await?;
    add_forecasts(app, std::slice::from_mut(&mut view)).await?;
    Ok(Json(view))
}

/// Adds the forecasts of the schedules that are in line. Reads nothing if none is.
pub async fn add_forecasts(app: &App, views: &mut [ScheduleView]) -> sqlx::Result<()> {
    let in_line = |view: &&ScheduleView| {
        matches!(
            view.status,
            ScheduleStatus::Scheduled | ScheduleStatus::Running
        )
    };
    let ids: Vec<_> = views.iter().filter(in_line).map(|view| view.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut forecasts = Forecaster::read(app, &ids).await?.forecast_line();
    for view in views {
        let offset = *view.run_at.offset();
        let found = forecasts.remove(&view.id);
        view.forecast = found.map(|forecast| forecast.in_zone(offset));
    }
    Ok(())
}

/// Describes `GET /v1/schedules/{id}` in the OpenAPI document.
pub fn show_doc() -> Operation {
    Operation::new("getSchedule", "schedules", "Get a schedule")
        .text("`counts` is current while it runs; `attention` is what may need an operator; `forecast` tells when a schedule that is scheduled or running is sent.")
        .answers::<ScheduleView>(200, "The schedule.", shown("scheduled", json!({"forecast": forecast_example(), "cost": cost::example()})))
        .problems(&["not-found"])
}

/// Returns the number of messages for which an HTTP request to the carrier was begun.
fn sent(counts: &Counts) -> u64 {
    let never_requested = |status: &Status| {
        matches!(
            status,
            Status::Pending | Status::Cancelled | Status::Suppressed | Status::Invalid
        )
    };
    counts
        .iter()
        .filter(|(status, _)| !never_requested(status))
        .map(|(_, count)| count)
        .sum()
}

/// Parses an id. A text that is no id names no schedule.
pub fn parse_id(id: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(id).map_err(|_| ApiError::no_such_schedule())
}
