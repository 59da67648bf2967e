//! `GET /v1/schedules`: lists schedules by state and time, newest first or by planned time, page by
//! page.

use std::collections::HashMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Datelike, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::schedule::{
    priority::Priority,
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
    openapi::{Operation, parameters, schemas::derived},
    resources::schedules::{
        examples::{forecast_example, shown},
        progress::read_page_progress,
        selected::Selected,
        show::{ScheduleView, add_forecasts},
        store::lists::{
            ScheduleFilter, SchedulePosition, earliest_schedules, latest_schedules,
            page_of_schedules,
        },
        store::names::find_called,
    },
};

/// A page of schedules.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SchedulePage")]
pub struct Page {
    schedules: Vec<ScheduleView>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Newest,
    Earliest,
    Latest,
}

impl Sort {
    const ALL: [Self; 3] = [Self::Newest, Self::Earliest, Self::Latest];

    /// Returns the member to sort by; a minus means the greatest first.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "-created_at",
            Self::Earliest => "run_at",
            Self::Latest => "-run_at",
        }
    }
}

/// The end of a page. The time is 0 if the list is sorted by creation, as ids are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    id: Uuid,
    run_at: DateTime<Utc>,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (id, time) = text.strip_prefix('s')?.split_once('-')?;
        let run_at = DateTime::from_timestamp_millis(i64::from_str_radix(time, 16).ok()?)?;
        (1970..9999).contains(&run_at.year()).then_some(())?;
        Some(Self {
            id: Uuid::try_parse(id).ok()?,
            run_at,
        })
    }

    fn write(self) -> String {
        format!("s{}-{:x}", self.id.simple(), self.run_at.timestamp_millis())
    }
}

/// Returns 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let status = query.choice("status", &ScheduleStatus::ALL, ScheduleStatus::as_str);
    let priority = query.choice("priority", &Priority::ALL, Priority::as_str);
    let (from, to) = (query.time("from"), query.time("to"));
    let sort = query
        .choice("sort", &Sort::ALL, Sort::as_str)
        .unwrap_or(Sort::Newest);
    let selected = Selected::read(&mut query);
    let limit = query.limit(LIMIT);
    let cursor = query.cursor(Cursor::read);
    query.finish()?;
    let filter = ScheduleFilter {
        status,
        priority,
        from,
        to,
    };
    let mut connection = app.db.acquire().await?;
    let position = cursor.map(|Cursor { id, run_at }| SchedulePosition { id, run_at });
    let ids = match sort {
        _ if !selected.called().is_empty() => {
            let found = find_called(&mut connection, selected.called(), filter).await?;
            page_of_found(found, sort, position, limit)
        }
        Sort::Newest => {
            let before = cursor.map_or(Uuid::max(), |cursor| cursor.id);
            page_of_schedules(&mut connection, filter, before, limit).await?
        }
        Sort::Earliest => earliest_schedules(&mut connection, filter, position, limit).await?,
        Sort::Latest => latest_schedules(&mut connection, filter, position, limit).await?,
    };
    let mut found: HashMap<Uuid, Schedule> = load_schedules(&mut connection, &ids)
        .await?
        .into_iter()
        .map(|schedule| (schedule.id, schedule))
        .collect();
    let mut progress = read_page_progress(&app, &mut connection, &found).await?;
    drop(connection);
    let mut schedules: Vec<_> = ids
        .iter()
        .filter_map(|id| Some(ScheduleView::new(found.remove(id)?, progress.remove(id)?)))
        .collect();
    add_forecasts(&app, &mut schedules).await?;
    let last = schedules.last().filter(|_| ids.len() == limit as usize);
    let next_cursor = last.map(|last| {
        let cursor = Cursor {
            id: last.id,
            run_at: last.run_at.to_utc(),
        };
        cursor.write()
    });
    Ok(Json(Page {
        schedules,
        next_cursor,
    }))
}

/// Returns the ids of a page of the schedules that were found, in the order of the list.
fn page_of_found(
    mut found: Vec<SchedulePosition>,
    sort: Sort,
    after: Option<SchedulePosition>,
    limit: u32,
) -> Vec<Uuid> {
    let in_order = |a: &SchedulePosition, b: &SchedulePosition| match sort {
        Sort::Newest => b.id.cmp(&a.id),
        Sort::Earliest => (a.run_at, a.id).cmp(&(b.run_at, b.id)),
        Sort::Latest => (b.run_at, b.id).cmp(&(a.run_at, a.id)),
    };
    if let Some(after) = after {
        found.retain(|position| in_order(position, &after).is_gt());
    }
    found.sort_unstable_by(in_order);
    found.truncate(limit as usize);
    found.into_iter().map(|position| position.id).collect()
}

/// Describes `GET /v1/schedules` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let mut schedule = shown("scheduled", json!({}));
    schedule["forecast"] = forecast_example();
    Operation::new("listSchedules", "schedules", "List schedules, page by page")
        .text("`counts` are as of the last release of each batch; the answer for a single schedule has them exactly. `forecast` tells when a schedule that is scheduled or running is sent.")
        .query(
            "status",
            derived::<ScheduleStatus>(),
            "Only schedules in this state.",
        )
        .query(
            "priority",
            derived::<Priority>(),
            "Only schedules of this priority.",
        )
        .queries([
            parameters::time("from", "Only schedules planned for this time or later."),
            parameters::time("to", "Only schedules planned for before this time."),
        ])
        .query(
            "sort",
            json!({"type": "string", "enum": Sort::ALL.map(Sort::as_str), "default": Sort::Newest.as_str()}),
            "The member to sort by; a minus: the greatest first.",
        )
        .queries(Selected::parameters())
        .queries(parameters::page(LIMIT))
        .answers::<Page>(200, "A page.", json!({"schedules": [schedule], "next_cursor": null}))
}
