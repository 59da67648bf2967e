//! `GET /v1/schedules`: by state and time, newest first or by planned time, page by page.

use std::collections::HashMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Datelike, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::schedule::{
    row::{Schedule, load_schedules},
    status::ScheduleStatus,
};
use uuid::Uuid;

use crate::{
    App,
    http::{
        error::ApiError,
        query::{LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::schedules::{
        examples::listed,
        show::ScheduleView,
        store::lists::{ScheduleFilter, earliest_schedules, latest_schedules, page_of_schedules},
    },
};

/// A page. The schedules in it are without counts.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SchedulePage")]
pub struct Page {
    schedules: Vec<ScheduleView>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// In which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Newest,
    Earliest,
    Latest,
}

impl Sort {
    const ALL: [Self; 3] = [Self::Newest, Self::Earliest, Self::Latest];

    /// The member to sort by; a minus: the greatest first.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "-created_at",
            Self::Earliest => "run_at",
            Self::Latest => "-run_at",
        }
    }
}

/// Where a page ended; the time is 0 where it is sorted by creation, as ids are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor(Uuid, DateTime<Utc>);

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (id, time) = text.strip_prefix('s')?.split_once('-')?;
        let time = DateTime::from_timestamp_millis(i64::from_str_radix(time, 16).ok()?)?;
        (1970..9999).contains(&time.year()).then_some(())?;
        Some(Self(Uuid::try_parse(id).ok()?, time))
    }

    fn write(self) -> String {
        format!("s{}-{:x}", self.0.simple(), self.1.timestamp_millis())
    }
}

/// 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let status = query.choice("status", &ScheduleStatus::ALL, ScheduleStatus::as_str);
    let (from, to) = (query.time("from"), query.time("to"));
    let sort = query
        .choice("sort", &Sort::ALL, Sort::as_str)
        .unwrap_or(Sort::Newest);
    let limit = query.limit(LIMIT);
    let cursor = query.cursor(Cursor::read);
    query.finish()?;
    let filter = ScheduleFilter { status, from, to };
    let mut connection = app.db.pool.acquire().await?;
    let place = cursor.map(|Cursor(id, time)| (time, id));
    let ids = match sort {
        Sort::Newest => {
            let before = cursor.map_or(Uuid::max(), |Cursor(id, _)| id);
            page_of_schedules(&mut connection, filter, before, limit).await?
        }
        Sort::Earliest => earliest_schedules(&mut connection, filter, place, limit).await?,
        Sort::Latest => latest_schedules(&mut connection, filter, place, limit).await?,
    };
    let mut found: HashMap<Uuid, Schedule> = load_schedules(&mut connection, &ids)
        .await?
        .into_iter()
        .map(|schedule| (schedule.id, schedule))
        .collect();
    let schedules: Vec<_> = ids
        .iter()
        .filter_map(|id| found.remove(id))
        .map(|schedule| ScheduleView::new(schedule, None))
        .collect();
    let last = schedules.last().filter(|_| ids.len() == limit as usize);
    let next_cursor = last.map(|last| Cursor(last.id, last.run_at.to_utc()).write());
    Ok(Json(Page {
        schedules,
        next_cursor,
    }))
}

/// For the document.
pub fn list_doc() -> Operation {
    Operation::new("listSchedules", "schedules", "Schedules, page by page")
        .text("Without counts: those are in each schedule's own answer.")
        .query(
            "status",
            json!({"type": "string", "enum": ScheduleStatus::ALL.map(ScheduleStatus::as_str)}),
            "Only those in this state.",
        )
        .queries([
            parameters::time("from", "Planned for this time or later."),
            parameters::time("to", "Planned for before this time."),
        ])
        .query(
            "sort",
            json!({"type": "string", "enum": Sort::ALL.map(Sort::as_str), "default": Sort::Newest.as_str()}),
            "By which member; a minus: the greatest first.",
        )
        .queries(parameters::page(LIMIT))
        .answers::<Page>(200, "A page.", json!({"schedules": [listed("scheduled")], "next_cursor": null}))
}
