//! Forecasts when a schedule is sent: from the capacity of the deployment, the limit of the carrier
//! and the other schedules in line.
//!
//! Without a limit the carrier's speed is not known in advance, and each schedule is forecast as if
//! it were alone.

mod deployment;
mod simulation;
mod store;

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset, Offset, SubsecRound, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    carrier::capacity::{Capacity, Limit, LimitKind},
    message::window::Window,
    schedule::priority::Priority,
};
use uuid::Uuid;

pub use self::deployment::DeploymentCapacity;
use self::{
    simulation::{Course, Flow, simulate},
    store::{InLine, schedules_in_line},
};
use crate::{App, resources::schedules::end::SendEnd};

/// Below this share of the speed that it would have alone, a schedule is slowed down by others.
const ALONE: f64 = 0.95;

/// What limits the speed: requests in flight, the carrier's limit, the schedule's rate, or other
/// schedules in line.
const LIMITS: [&str; 4] = ["requests", "carrier", "rate", "others"];

/// A schedule to forecast.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its priority.
    pub priority: Priority,
    /// Its planned time.
    pub run_at: DateTime<Utc>,
    /// Its window.
    pub window: Option<Window>,
    /// Its end.
    pub end: SendEnd,
    /// Its messages that have not been sent.
    pub load: Load,
}

/// The amount to send.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Messages.
    pub messages: u64,
    /// Their parts.
    pub parts: u64,
    /// Requests to the carrier, if each holds as many numbers as it can.
    pub requests: u64,
    /// The rate of the schedule, in messages per second.
    pub rate: Option<u32>,
}

/// When a schedule is sent, by the limits and the schedules that are known now.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Forecast {
    /// When the first message is sent, within the window. Null: none is sent before the end, or it is
    /// too far ahead to tell.
    pub planned_start: Option<DateTime<FixedOffset>>,
    /// About when the last message is sent, or when the schedule reaches its end. Null: too far ahead
    /// to tell.
    pub planned_end: Option<DateTime<FixedOffset>>,
    /// From the first message to the last, in seconds in which the window is open.
    pub duration_s: f64,
    /// Message parts per second meanwhile, on average.
    pub parts_per_second: f64,
    /// The share of the carrier's limit that this is, from 0 to 1. Null: no limit is known.
    pub capacity_used: Option<f64>,
    /// What limits the speed: the schedule's `rate`, the `carrier`'s limit, `others` (schedules in
    /// line that share it), or the number of `requests`. Null: nothing is left to send.
    #[schemars(extend("title" = "LimitedBy", "enum" = ["requests", "carrier", "rate", "others", null]))]
    pub limited_by: Option<&'static str>,
    /// Messages that are not sent before the end (`send_until`, `send_within_s`).
    pub not_sent_in_time: u64,
}

impl Forecast {
    /// Returns the forecast with its times in another zone.
    #[must_use]
    pub fn in_zone(self, offset: FixedOffset) -> Self {
        let shown = |time: DateTime<FixedOffset>| time.with_timezone(&offset);
        Self {
            planned_start: self.planned_start.map(shown),
            planned_end: self.planned_end.map(shown),
            ..self
        }
    }
}

/// What a forecast is made from.
pub struct Forecaster {
    deployment: DeploymentCapacity,
    limit: Limit,
    line: Vec<InLine>,
    now: DateTime<Utc>,
}

impl Forecaster {
    /// Reads the limit and the schedules in line, and of `ids` those that are in line too. Uses the
    /// pool: the caller must hold no connection.
    pub async fn read(app: &App, ids: &[Uuid]) -> sqlx::Result<Self> {
        let limit = Capacity::new(app.db.clone(), LimitKind::Submit, app.capacity.submit);
        Ok(Self {
            deployment: app.capacity,
            limit: limit.read().await?,
            line: schedules_in_line(&mut *app.db.acquire().await?, ids).await?,
            now: app.db.now(),
        })
    }

    /// Leaves a schedule out of the line, so that it can be forecast as a new one.
    #[must_use]
    pub fn without(mut self, id: Uuid) -> Self {
        self.line.retain(|row| row.id != id);
        self
    }

    /// Forecasts a schedule that does not exist yet.
    pub fn forecast_new(&self, new: &Planned, offset: FixedOffset) -> Forecast {
        let mut flows = self.flows();
        flows.push(self.flow(new));
        let courses = simulate(&flows, self.now);
        let course = courses.last().copied().unwrap_or_default();
        self.forecast(new, course, offset)
    }

    /// Forecasts the schedules in line, by their ids.
    pub fn forecast_line(&self) -> HashMap<Uuid, Forecast> {
        let courses = simulate(&self.flows(), self.now);
        let forecast = |(row, course): (&InLine, Course)| {
            let planned = self.planned(row);
            let mut forecast = self.forecast(&planned, course, Offset::fix(&Utc));
            if row.is_cut && row.pending < u64::from(row.recipient_count) {
                // It is being sent, so it began at its planned time.
                let began = planned
                    .window
                    .map_or(row.run_at, |window| window.next_open(row.run_at));
                forecast.planned_start = Some(began.min(self.now).fixed_offset());
            }
            (row.id, forecast)
        };
        self.line.iter().zip(courses).map(forecast).collect()
    }

    fn flows(&self) -> Vec<Flow> {
        let flow = |row| self.flow(&self.planned(row));
        self.line.iter().map(flow).collect()
    }

    /// Returns a schedule in line as it is now.
    fn planned(&self, row: &InLine) -> Planned {
        let numbers = if row.is_personal {
            1
        } else {
            u64::from(self.deployment.numbers)
        };
        Planned {
            priority: row.priority,
            run_at: row.run_at,
            window: Window::of(row.send_window.as_deref()),
            end: SendEnd {
                until: row.send_until,
                within_s: row.send_within_s,
            },
            load: Load {
                messages: row.pending,
                parts: row.pending * u64::from(row.parts),
                requests: row.pending.div_ceil(numbers),
                rate: row.rate,
            },
        }
    }

    fn flow(&self, planned: &Planned) -> Flow {
        let speeds = self.speeds(planned.load);
        Flow {
            priority: planned.priority,
            ready_at: planned.run_at,
            parts: planned.load.parts as f64,
            alone: speeds.requests.min(speeds.rate),
            cost: speeds.carrier.recip(),
            window: planned.window.clone(),
            ends_at: planned.end.at(planned.run_at),
        }
    }

    /// Returns the parts per second that each limit allows if the schedule is alone. Infinite: there
    /// is no such limit.
    fn speeds(&self, load: Load) -> Speeds {
        let parts = load.parts.max(1) as f64;
        let per_request = parts / load.requests.max(1) as f64;
        let per_message = parts / load.messages.max(1) as f64;
        let messages_per_second =
            f64::from(self.deployment.in_flight()) * 1000.0 / f64::from(self.deployment.request_ms);
        let by_requests = self
            .limit
            .requests_per_second
            .map(|rate| rate * per_request);
        Speeds {
            requests: messages_per_second * per_message,
            carrier: self
                .limit
                .per_second()
                .unwrap_or(f64::INFINITY)
                .min(by_requests.unwrap_or(f64::INFINITY)),
            rate: load
                .rate
                .map_or(f64::INFINITY, |rate| f64::from(rate) * per_message),
        }
    }

    fn forecast(&self, planned: &Planned, course: Course, offset: FixedOffset) -> Forecast {
        let load = planned.load;
        let speeds = self.speeds(load);
        let sent = load.parts as f64 - course.unsent;
        let speed = if course.seconds > 0.0 {
            sent / course.seconds
        } else {
            0.0
        };
        let per_message = load.parts.max(1) as f64 / load.messages.max(1) as f64;
        let shown = |time: DateTime<Utc>| time.round_subsecs(3).with_timezone(&offset);
        Forecast {
            planned_start: course.starts_at.map(shown),
            planned_end: course.ends_at.map(shown),
            duration_s: (course.seconds * 10.0 - 0.001).ceil().abs() / 10.0,
            parts_per_second: (speed * 100.0).round() / 100.0,
            capacity_used: speeds
                .carrier
                .is_finite()
                .then(|| (speed / speeds.carrier * 1000.0).round() / 1000.0),
            limited_by: (load.parts > 0).then(|| speeds.limited_by(speed)),
            not_sent_in_time: (course.unsent / per_message - 1e-6).ceil().max(0.0) as u64,
        }
    }
}

/// Parts per second that each limit allows.
#[derive(Clone, Copy)]
struct Speeds {
    requests: f64,
    carrier: f64,
    rate: f64,
}

impl Speeds {
    /// Returns the limit that decides if the schedule is sent with `speed`.
    fn limited_by(self, speed: f64) -> &'static str {
        let limits = [
            (LIMITS[0], self.requests),
            (LIMITS[1], self.carrier),
            (LIMITS[2], self.rate),
        ];
        let (name, alone) = limits
            .into_iter()
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .unwrap_or_default();
        if speed < ALONE * alone {
            LIMITS[3]
        } else {
            name
        }
    }
}

#[cfg(test)]
mod tests;
