//! `POST /v1/schedules?dry_run=true`: reports the effect of a call. The call is read as usual, and
//! nothing is written.

pub mod cost;
pub mod draft;
pub mod parsed;
mod references;
mod store;
pub mod texts;

use chrono::{DateTime, FixedOffset, Offset, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    message::{
        template::fixed_text,
        text::{self, Encoding},
        window::Window,
    },
    money::prices::current_table,
    schedule::{priority::Priority, status::ScheduleStatus},
};

use self::{
    cost::{CostEstimate, Scale},
    parsed::{ParsedList, Removed},
    texts::{Texts, texts_example},
};
use crate::{
    App,
    http::error::ApiError,
    lists::{
        List,
        duplicates::DuplicateEntry,
        entry::RejectedEntry,
        options::{OnDuplicate, OnInvalid},
    },
    openapi::parameters::AHEAD,
    resources::schedules::{
        budget::{Effect, ExceededBudget, StartTimes, exceeded, planned_for},
        forecast::{Forecast, Forecaster, Load, Planned},
        priority,
        store::NewSchedule,
    },
};

/// The effect that the call would have.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "DryRun")]
pub struct Report {
    /// Always true.
    #[schemars(extend("const" = true))]
    dry_run: bool,
    /// Whether the call would be accepted. An invalid number refuses it under `on_invalid: reject`, a
    /// duplicate under `on_duplicate: reject`, and so does a list without a valid number, or a budget
    /// that is exceeded.
    accepted: bool,
    run_at: DateTime<FixedOffset>,
    /// Distinct numbers.
    valid: u64,
    /// Of these, numbers that have opted out so far, to which nothing would be sent.
    suppressed: u64,
    /// Entries whose number is in the list already.
    duplicates: u64,
    /// The first hundred of them, and what would become of each.
    duplicate_entries: Vec<DuplicateEntry>,
    /// Entries that are no valid numbers.
    invalid_count: u64,
    /// The first thousand of the invalid entries.
    invalid: Vec<RejectedEntry>,
    /// Of a text with variables: of what is the same for all recipients. `longest` has the encoding of
    /// the longest text.
    #[schemars(extend("title" = "Encoding", "enum" = [Encoding::Gsm7.as_str(), Encoding::Ucs2.as_str()]))]
    encoding: &'static str,
    /// The character that is in no GSM 03.38 alphabet, if the encoding is UCS-2.
    forced_by: Option<char>,
    #[serde(flatten)]
    texts: Texts,
    /// Parts per message; for texts with variables, of the longest.
    parts: u16,
    /// Parts of all messages.
    parts_total: u64,
    /// Requests to the carrier, if each holds as many numbers as it can.
    requests: u64,
    /// The cost by the current prices; null if there are no prices.
    cost: Option<CostEstimate>,
    /// The budgets of which less is left than this schedule needs.
    exceeded_budgets: Vec<ExceededBudget>,
    /// The priority that the schedule would have.
    priority: Priority,
    #[serde(flatten)]
    forecast: Forecast,
}

/// A schedule to create, and its list.
#[derive(Clone, Copy)]
pub struct NewList<'a> {
    /// The row, without recipients.
    pub schedule: &'a NewSchedule,
    /// The list, if the call has one.
    pub list: Option<&'a List>,
    /// The effect of invalid entries.
    pub on_invalid: OnInvalid,
    /// The effect of duplicates.
    pub on_duplicate: OnDuplicate,
}

/// Reads the list, and reports the effect of the call.
pub async fn dry_run(app: &App, new: NewList<'_>) -> Result<Report, ApiError> {
    let schedule = new.schedule;
    let mut parsed = match new.list {
        Some(list) => ParsedList::read(list.clone()).await?,
        None => ParsedList::default(),
    };
    let duplicates = parsed.remove_duplicates(new.on_duplicate);
    let valid = parsed.count();
    let Found {
        duplicate_entries,
        suppressed,
        cost,
        exceeded_budgets,
    } = Found::read(app, new, &mut parsed).await?;
    let counted = text::parts(&fixed_text(&schedule.message));
    let load = parsed.load(schedule.parts, schedule.rate, app.capacity);
    let draft = schedule.status == ScheduleStatus::Draft;
    let offset: FixedOffset = schedule.run_at_offset.parse().unwrap_or_else(|_| Utc.fix());
    let planned = planned(app, schedule, load, valid);
    let forecast = Forecaster::read(app, &[])
        .await?
        .forecast_new(&planned, offset);
    Ok(Report {
        dry_run: true,
        accepted: (valid > 0 || draft)
            && (parsed.invalid_count == 0 || new.on_invalid == OnInvalid::Skip)
            && (duplicates == 0 || new.on_duplicate != OnDuplicate::Reject)
            && (exceeded_budgets.is_empty() || draft),
        run_at: schedule.run_at.with_timezone(&offset),
        valid,
        suppressed,
        duplicates,
        duplicate_entries,
        invalid_count: parsed.invalid_count,
        invalid: std::mem::take(&mut parsed.invalid),
        encoding: counted.encoding.as_str(),
        forced_by: counted.forced_by,
        parts: parsed.most_parts.max(schedule.parts),
        texts: parsed.into_texts(&schedule.message, schedule.parts)?,
        parts_total: load.parts,
        requests: load.requests,
        cost,
        exceeded_budgets,
        priority: planned.priority,
        forecast,
    })
}

/// What the database knows about a list.
struct Found {
    duplicate_entries: Vec<DuplicateEntry>,
    suppressed: u64,
    cost: Option<CostEstimate>,
    exceeded_budgets: Vec<ExceededBudget>,
}

impl Found {
    /// Reads it, and removes the numbers that have opted out from the list.
    async fn read(app: &App, new: NewList<'_>, parsed: &mut ParsedList) -> Result<Self, ApiError> {
        let schedule = new.schedule;
        let connection = &mut *app.db.acquire().await?;
        let duplicates = parsed.duplicate_entries(connection, None, new.on_duplicate);
        let duplicate_entries = duplicates.await?;
        let prices = current_table(connection).await?;
        // The call plans them too: who opts out is removed when it is sent.
        let planned = planned_for(prices.as_deref(), parsed.addressed(schedule.parts));
        let times = StartTimes {
            start: schedule.start().at(),
            now: schedule.created_at,
        };
        let creator = schedule.created_by.as_deref();
        let exceeded = exceeded(connection, creator, planned, times).await?;
        let suppressed = parsed.remove(connection, Removed::Suppressed).await?;
        let addressed = parsed.addressed(schedule.parts);
        Ok(Self {
            duplicate_entries,
            suppressed,
            cost: prices.map(|prices| CostEstimate::of(&prices, addressed, Scale::EXACT)),
            exceeded_budgets: exceeded
                .into_iter()
                .map(|excess| excess.view(Effect::Refuse))
                .collect(),
        })
    }
}

/// Returns an example of a report.
pub fn report_example() -> Value {
    let mut report = json!({
        "dry_run": true, "accepted": true, "run_at": AHEAD, "valid": 2, "suppressed": 0, "duplicates": 0, "duplicate_entries": [], "invalid_count": 0, "invalid": [],
        "encoding": "GSM-7", "forced_by": null, "parts": 1, "parts_total": 2, "requests": 1, "cost": cost::example(), "exceeded_budgets": [], "priority": "normal",
        "planned_start": AHEAD, "planned_end": AHEAD, "duration_s": 0.1, "parts_per_second": 20.0, "capacity_used": 0.2, "limited_by": "rate",
        "not_sent_in_time": 0,
    });
    add_members(&mut report, texts_example());
    report
}

/// Adds members to an example.
pub fn add_members(example: &mut Value, members: Value) {
    if let (Some(example), Value::Object(members)) = (example.as_object_mut(), members) {
        example.extend(members);
    }
}

/// Returns the schedule as it would be sent, with `recipients` in its list.
fn planned(app: &App, schedule: &NewSchedule, load: Load, recipients: u64) -> Planned {
    let priority = if schedule.auto_priority {
        priority::by_size(recipients, app.capacity.bulk_above())
    } else {
        schedule.priority
    };
    Planned {
        priority,
        run_at: schedule.run_at,
        window: Window::of(schedule.send_window.as_deref()),
        end: schedule.end,
        load,
    }
}
