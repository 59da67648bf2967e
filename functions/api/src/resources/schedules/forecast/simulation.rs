//! Simulates how the schedules in line use the carrier, as a fluid: at any time each schedule is
//! sent with a constant number of parts per second, until something changes. Pure.
//!
//! The shares are those of admission: high comes first, normal and bulk share the rest. Schedules of
//! one priority share equally (max-min), except those whose `rate` takes less. While both wait, bulk
//! gets a tenth of what high leaves; each of the two gets what the other does not use.

use chrono::{DateTime, TimeDelta, Utc};
use shared::{message::window::Window, schedule::priority::Priority};

/// The share of bulk while normal schedules wait.
const BULK_SHARE: f64 = 0.1;
/// Changes that are simulated, at most. A slow schedule with a window has two per day.
const MOST_STEPS: usize = 5_000;

/// A schedule in line.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its priority.
    pub priority: Priority,
    /// The time from which it may be sent.
    pub ready_at: DateTime<Utc>,
    /// Message parts that are still to be sent.
    pub parts: f64,
    /// Parts per second if it is alone: finite and greater than 0.
    pub alone: f64,
    /// Seconds of the carrier's capacity per part; 0 without a limit.
    pub cost: f64,
    /// Its window.
    pub window: Option<Window>,
    /// Its end.
    pub ends_at: Option<DateTime<Utc>>,
}

/// What becomes of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Course {
    /// When its first part is sent; `None`: never, or later than what is simulated.
    pub starts_at: Option<DateTime<Utc>>,
    /// When its last part is sent, or when it reaches its end; `None`: later than what is simulated.
    pub ends_at: Option<DateTime<Utc>>,
    /// Seconds from the first part to the last in which its window was open.
    pub seconds: f64,
    /// Parts that are not sent before its end.
    pub unsent: f64,
}

/// The state of a schedule in the simulation.
struct State<'a> {
    flow: &'a Flow,
    course: Course,
    left: f64,
    is_open: bool,
    /// When it becomes ready, or its window opens or closes next.
    changes_at: Option<DateTime<Utc>>,
    /// Parts per second at present.
    speed: f64,
}

/// Simulates all flows from `now` on, and returns their courses in the same order.
pub fn simulate(flows: &[Flow], now: DateTime<Utc>) -> Vec<Course> {
    let mut states: Vec<_> = flows.iter().map(|flow| State::new(flow, now)).collect();
    let mut at = now;
    for _ in 0..MOST_STEPS {
        for state in &mut states {
            state.move_to(at);
        }
        share(&mut states);
        let Some(next) = states.iter().filter_map(|state| state.next(at)).min() else {
            break;
        };
        for state in &mut states {
            state.send(at, next);
        }
        at = next;
    }
    states.into_iter().map(|state| state.course).collect()
}

impl<'a> State<'a> {
    fn new(flow: &'a Flow, now: DateTime<Utc>) -> Self {
        Self {
            flow,
            course: Course::default(),
            left: flow.parts,
            is_open: false,
            changes_at: Some(flow.ready_at.max(now)),
            speed: 0.0,
        }
    }

    const fn is_done(&self) -> bool {
        self.course.ends_at.is_some()
    }

    const fn is_waiting(&self) -> bool {
        self.is_open && !self.is_done()
    }

    /// Makes the changes that are due: the end, the beginning, the window.
    fn move_to(&mut self, at: DateTime<Utc>) {
        if self.is_done() {
            return;
        }
        if self.flow.ends_at.is_some_and(|end| end <= at) {
            self.course.ends_at = Some(at);
            self.course.unsent = self.left;
            return;
        }
        if self.changes_at.is_none_or(|change| change > at) {
            return;
        }
        let window = self.flow.window.as_ref();
        let opens = window.map_or(at, |window| window.next_open(at));
        self.is_open = opens == at;
        self.changes_at = match window {
            Some(window) if self.is_open => window.next_close(at),
            Some(_) => Some(opens),
            None => None,
        };
        if self.is_open && self.left <= 0.0 {
            self.course.starts_at = Some(at);
            self.course.ends_at = Some(at);
        }
    }

    /// Returns the time of its next change.
    fn next(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.is_done() {
            return None;
        }
        let finishes = (self.speed > 0.0).then(|| at + time_of(self.left / self.speed));
        [finishes, self.changes_at, self.flow.ends_at]
            .into_iter()
            .flatten()
            .filter(|change| *change > at)
            .min()
    }

    /// Sends from `from` to `until` at its present speed.
    fn send(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) {
        if self.speed > 0.0 {
            self.course.starts_at.get_or_insert(from);
        }
        if self.is_done() || !self.is_open || self.course.starts_at.is_none() {
            return;
        }
        let finishes = self.speed > 0.0 && from + time_of(self.left / self.speed) <= until;
        if finishes {
            self.course.seconds += self.left / self.speed;
            self.left = 0.0;
            self.course.ends_at = Some(until);
        } else {
            let seconds = (until - from).as_seconds_f64();
            self.course.seconds += seconds;
            self.left -= self.speed * seconds;
        }
    }
}

/// Returns a length of time, at least a microsecond and at most a thousand years.
fn time_of(seconds: f64) -> TimeDelta {
    TimeDelta::microseconds((seconds * 1e6).ceil().clamp(1.0, 3e16) as i64)
}

/// Sets the present speed of each schedule.
fn share(states: &mut [State<'_>]) {
    for state in &mut *states {
        state.speed = 0.0;
    }
    let left = 1.0 - fill(states, Priority::High, 1.0);
    let bulk_demand = demand(states, Priority::Bulk);
    let for_bulk = (BULK_SHARE * left).min(bulk_demand);
    let left = left - fill(states, Priority::Normal, left - for_bulk);
    fill(states, Priority::Bulk, left);
}

/// Returns the capacity that the waiting schedules of a priority would use if they were alone.
fn demand(states: &[State<'_>], priority: Priority) -> f64 {
    let waiting = states
        .iter()
        .filter(|state| state.flow.priority == priority && state.is_waiting());
    waiting
        .map(|state| state.flow.alone * state.flow.cost)
        .sum()
}

/// Divides `capacity` (1: all of the carrier) among the waiting schedules of a priority: each gets
/// the same number of parts per second, or as many as it takes. Returns the capacity that they use.
fn fill(states: &mut [State<'_>], priority: Priority, capacity: f64) -> f64 {
    let mut waiting: Vec<_> = states
        .iter_mut()
        .filter(|state| state.flow.priority == priority && state.is_waiting())
        .collect();
    waiting.sort_by(|one, other| one.flow.alone.total_cmp(&other.flow.alone));
    let mut cost: f64 = waiting.iter().map(|state| state.flow.cost).sum();
    let mut left = capacity.max(0.0);
    for state in waiting {
        let level = if cost > 0.0 {
            left / cost
        } else {
            f64::INFINITY
        };
        state.speed = state.flow.alone.min(level);
        left = (left - state.speed * state.flow.cost).max(0.0);
        cost -= state.flow.cost;
    }
    capacity - left
}

#[cfg(test)]
mod tests;
