//! A limit in memory that does what the statement `grant` does, for simulations on virtual time.
//! `comparison.rs` compares the two.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::carrier::capacity::{HORIZON, Learned, Limit, SETTLING};

/// Microseconds since 1970.
pub type Micros = i64;

pub fn time(at: Micros) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at).unwrap()
}

pub fn horizon() -> Micros {
    HORIZON.num_microseconds().unwrap()
}

/// A row of `carrier_limits`.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    pub limit: Limit,
    pub learned: Learned,
    pub grown_at: Micros,
    pub free_at: Micros,
    pub requests_free_at: Micros,
    pub granted_at: Micros,
    pub slot_units: u32,
    pub slot_units_used: u32,
}

/// The units of an ask.
#[derive(Clone, Copy, Debug)]
pub struct Units {
    pub most: u32,
    pub least: u32,
    pub slot: u32,
}

impl Bucket {
    /// A limit that was never used.
    pub fn new(configured: Option<f64>, requests_per_second: Option<f64>) -> Self {
        Self {
            limit: Limit {
                configured,
                requests_per_second,
                learned: None,
                response: Duration::from_millis(100),
            },
            learned: Learned {
                per_second: None,
                ceiling: None,
                refused_at: time(0),
            },
            grown_at: 0,
            free_at: 0,
            requests_free_at: 0,
            granted_at: 0,
            slot_units: 0,
            slot_units_used: 0,
        }
    }

    pub fn is_known(&self) -> bool {
        self.limit.per_second().is_some() || self.limit.requests_per_second.is_some()
    }

    /// Returns the start of the slot and the units, or an error with the time at which the next one
    /// starts.
    pub fn grant(&mut self, now: Micros, ask: Units) -> Result<(Micros, u32), Micros> {
        let is_shared = self.granted_at >= now
            && self.slot_units_used + ask.least <= self.slot_units
            && self.limit.requests_per_second.is_none();
        let start = now.max(self.free_at).max(self.requests_free_at);
        if !is_shared && start > now + horizon() {
            return Err(start);
        }
        if let Some(per_second) = self.learned.per_second {
            self.learned.per_second = Some(per_second * self.growth(now, per_second));
            self.limit.learned = self.learned.per_second;
        }
        self.grown_at = now;
        if is_shared {
            let left = self.slot_units - self.slot_units_used;
            let units = ask.most.min(left / ask.least * ask.least);
            self.slot_units_used += units;
            return Ok((self.granted_at, units));
        }
        (self.granted_at, self.slot_units) = (start, ask.slot);
        self.slot_units_used = ask.most;
        if let Some(rate) = self.limit.per_second() {
            let units = f64::from(ask.slot);
            let share = 1.0 / (rate / units + 1e-6).floor().max(1.0);
            self.free_at = start + (1e6 / 0.985 * (units / rate).max(share)).ceil() as Micros;
        }
        if let Some(rate) = self.limit.requests_per_second {
            self.requests_free_at = start + (1e6 / 0.985 / rate).ceil() as Micros;
        }
        Ok((start, ask.most))
    }

    fn growth(&self, now: Micros, per_second: f64) -> f64 {
        let refused_at = self.learned.refused_at;
        if self.free_at + 100_000 < now || time(now) - SETTLING < refused_at {
            return 1.0;
        }
        let since = (now - self.grown_at).max(0);
        let Some(ceiling) = self.learned.ceiling else {
            return 2_f64.powf(since.min(500_000) as f64 / 4.5e5);
        };
        let a_second = if refused_at.timestamp_micros() + 60_000_000 < now {
            0.05
        } else if per_second < 0.97 * ceiling {
            0.034
        } else if per_second <= ceiling {
            0.0005
        } else {
            0.02
        };
        1.0 + since.min(1_000_000) as f64 / 1e6 * a_second
    }

    /// Records a 429.
    pub fn refuse(&mut self, started_at: Micros, now: Micros) {
        if self.limit.configured.is_some() {
            return;
        }
        if let Some(after) = self.learned.after_refusal(time(started_at), time(now)) {
            let paused_until = after.paused_until(&self.learned).timestamp_micros();
            self.learned = after;
            self.limit.learned = after.per_second;
            self.grown_at = now;
            self.free_at = self.free_at.max(paused_until);
        }
    }
}
