//! The form of a carrier in answers.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    carrier::capacity::{CARRIER, LimitKind},
    schedule::priority::Priority,
};
use sqlx::MySqlConnection;

use crate::{
    App,
    http::error::ApiError,
    resources::carriers::store::{
        CarrierRow, LimitRow, Waiting, read_carrier, read_limits, waiting_by_priority,
    },
};

/// A carrier.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Carrier")]
pub struct CarrierView {
    /// Its name.
    name: String,
    /// Message parts per second that are submitted.
    parts_per_second: LimitView,
    /// HTTP requests per second that submit messages. Such a limit is not learned.
    requests_per_second: LimitView,
    /// Status queries per second.
    queries_per_second: LimitView,
    /// How much of the limits of sending is used.
    submit: UseView,
    /// How much of the limit of status queries is used.
    query: UseView,
    /// When it last accepted a message, some seconds behind. Null: never.
    last_accepted_at: Option<DateTime<Utc>>,
    /// The last time of a minute or more in which it accepted nothing. Null: none.
    last_outage: Option<OutageView>,
    /// Batches that wait for their turn.
    waiting: WaitingView,
}

/// A limit.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "CarrierLimit")]
pub struct LimitView {
    /// Set with this API. Null: not set.
    configured: Option<u32>,
    /// The deployment's default. Null: none.
    default: Option<u32>,
    /// Learned from the carrier's answers 429. Null: there has been none, or it is not learned.
    learned: Option<f64>,
    /// The limit that applies: the first of the three that is known. Null: no limit is known.
    effective: Option<f64>,
    /// Where the limit that applies comes from.
    source: LimitSource,
}

/// The origin of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitSource {
    /// This API.
    Api,
    /// The deployment.
    Deployment,
    /// The carrier's answers 429.
    Learned,
    /// No limit is known.
    None,
}

/// How much of a limit is used.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "CarrierUse")]
pub struct UseView {
    /// When the last granted request starts. Null: never.
    last_granted_at: Option<DateTime<Utc>>,
    /// The time until which the limit is used up. Null: never, or no limit is known.
    free_at: Option<DateTime<Utc>>,
    /// How far ahead of now that is, in milliseconds. 0: the limit is not used up.
    booked_ms: u64,
    /// Nothing is sent until then, because the carrier has sent `Retry-After`. Null: it is not
    /// blocked.
    blocked_until: Option<DateTime<Utc>>,
    /// The response time of a request in milliseconds, as a moving average.
    response_ms: u64,
}

/// A time in which the carrier accepted nothing.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "CarrierOutage")]
pub struct OutageView {
    from: DateTime<Utc>,
    /// When it accepted the next message.
    until: DateTime<Utc>,
}

/// What waits, by priority.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "CarrierWaiting")]
pub struct WaitingView {
    high: WaitingBatches,
    normal: WaitingBatches,
    bulk: WaitingBatches,
}

/// What waits of one priority.
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct WaitingBatches {
    /// Batches of running schedules.
    batches: u64,
    /// Their message parts.
    parts: u64,
}

/// Reads a carrier, in one transaction.
pub async fn read_view(
    app: &App,
    connection: &mut MySqlConnection,
) -> Result<CarrierView, ApiError> {
    let name = CARRIER;
    let carrier = read_carrier(connection, name)
        .await?
        .ok_or_else(no_such_carrier)?;
    let limits = read_limits(connection, name).await?;
    let of_kind = |kind: LimitKind| {
        let found = limits.iter().find(|limit| limit.kind == kind.as_str());
        found.ok_or_else(|| ApiError::Internal(format!("{name} has no limit {}", kind.as_str())))
    };
    let (submit, query) = (of_kind(LimitKind::Submit)?, of_kind(LimitKind::Query)?);
    let waiting = waiting_by_priority(connection, name).await?;
    let now = app.db.now();
    let submit_defaults = app.capacity.limit(LimitKind::Submit);
    let query_defaults = app.capacity.limit(LimitKind::Query);
    Ok(CarrierView {
        name: name.to_owned(),
        parts_per_second: LimitView::new(
            submit.per_second,
            submit_defaults.per_second,
            submit.learned_per_second,
        ),
        requests_per_second: LimitView::new(
            submit.requests_per_second,
            submit_defaults.requests_per_second,
            None,
        ),
        queries_per_second: LimitView::new(
            query.per_second,
            query_defaults.per_second,
            query.learned_per_second,
        ),
        submit: UseView::new(submit, now),
        query: UseView::new(query, now),
        last_accepted_at: carrier.progress_at,
        last_outage: OutageView::of(&carrier),
        waiting: WaitingView::new(&waiting),
    })
}

/// Refuses the name of a carrier that does not exist; today there is one.
///
/// The name is compared here and not by a statement: text that is not ASCII has no collation in
/// common with the column.
pub fn require_known(name: &str) -> Result<(), ApiError> {
    if name == CARRIER {
        Ok(())
    } else {
        Err(no_such_carrier())
    }
}

/// Returns 404.
fn no_such_carrier() -> ApiError {
    ApiError::NotFound("there is no carrier of this name; /v1/carriers lists all".to_owned())
}

impl LimitView {
    fn new(configured: Option<u32>, default: Option<u32>, learned: Option<f64>) -> Self {
        let (effective, source) = match (configured, default, learned) {
            (Some(limit), ..) => (Some(f64::from(limit)), LimitSource::Api),
            (None, Some(limit), _) => (Some(f64::from(limit)), LimitSource::Deployment),
            (None, None, Some(limit)) => (Some(limit), LimitSource::Learned),
            (None, None, None) => (None, LimitSource::None),
        };
        let rounded = |limit: f64| (limit * 100.0).round() / 100.0;
        Self {
            configured,
            default,
            learned: learned.map(rounded),
            effective: effective.map(rounded),
            source,
        }
    }
}

impl UseView {
    fn new(row: &LimitRow, now: DateTime<Utc>) -> Self {
        let time = |us: u64| DateTime::from_timestamp_millis((us / 1000) as i64).filter(|_| us > 0);
        let free_at = time(row.free_at_us.max(row.requests_free_at_us));
        let booked = free_at.map_or(TimeDelta::zero(), |free_at| free_at - now);
        Self {
            last_granted_at: time(row.granted_at_us),
            free_at,
            booked_ms: booked.num_milliseconds().max(0) as u64,
            blocked_until: time(row.blocked_until_us).filter(|until| *until > now),
            response_ms: row.response_us / 1000,
        }
    }
}

impl OutageView {
    fn of(row: &CarrierRow) -> Option<Self> {
        Some(Self {
            from: row.outage_from?,
            until: row.outage_until?,
        })
    }
}

impl WaitingView {
    fn new(rows: &[Waiting]) -> Self {
        let mut view = Self::default();
        for row in rows {
            let of_priority = match row.priority {
                Priority::High => &mut view.high,
                Priority::Normal => &mut view.normal,
                Priority::Bulk => &mut view.bulk,
            };
            *of_priority = WaitingBatches {
                batches: row.batches,
                parts: row.parts,
            };
        }
        view
    }
}

/// Returns an example of a carrier.
pub fn example() -> Value {
    let unused = json!({"configured": null, "default": null, "learned": null, "effective": null, "source": "none"});
    json!({
        "name": "main",
        "parts_per_second": {"configured": 1_000, "default": 500, "learned": null, "effective": 1_000.0, "source": "api"},
        "requests_per_second": unused,
        "queries_per_second": unused,
        "submit": {"last_granted_at": "2026-12-01T01:00:00Z", "free_at": "2026-12-01T01:00:00.100Z", "booked_ms": 100, "blocked_until": null,
            "response_ms": 80},
        "query": {"last_granted_at": null, "free_at": null, "booked_ms": 0, "blocked_until": null, "response_ms": 100},
        "last_accepted_at": "2026-12-01T01:00:00Z",
        "last_outage": null,
        "waiting": {"high": {"batches": 0, "parts": 0}, "normal": {"batches": 40, "parts": 20_000}, "bulk": {"batches": 0, "parts": 0}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_limit_applies() {
        for (configured, default, learned, effective, source) in [
            (Some(1), Some(2), Some(3.0), Some(1.0), LimitSource::Api),
            (None, Some(2), Some(3.0), Some(2.0), LimitSource::Deployment),
            (None, None, Some(3.456), Some(3.46), LimitSource::Learned),
            (None, None, None, None, LimitSource::None),
        ] {
            let view = LimitView::new(configured, default, learned);
            assert_eq!((view.effective, view.source), (effective, source));
        }
    }
}
