//! Estimates how long a list takes to send, from the capacity of the deployment. The carrier's
//! speed is not known in advance.

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    carrier::registry::{ADAPTERS, adapter_from_env, own_ids_from_env},
    platform::config::Env,
};

/// The capacity of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Requests to the carrier in flight, of all environments together.
    pub in_flight: u32,
    /// Phone numbers per request.
    pub numbers: u32,
    /// Recipients per batch. Numbers share a request only within a batch.
    pub batch: u32,
    /// Duration of a request in milliseconds, as measured.
    pub request_ms: u32,
    /// Message parts per second that the carrier accepts; `None`: no limit is known.
    pub parts_per_second: Option<u32>,
}

/// The capacity of the template's defaults.
impl Default for Capacity {
    fn default() -> Self {
        Self {
            in_flight: 40,
            numbers: (ADAPTERS[0].max_numbers)(false) as u32,
            batch: 500,
            request_ms: 200,
            parts_per_second: None,
        }
    }
}

impl Capacity {
    /// Reads `SEND_CONCURRENCY`, `SEND_IN_FLIGHT`, `BATCH_SIZE`, `CARRIER_ADAPTER` and
    /// `CARRIER_OWN_IDS` (which decide how many numbers fit in a request), `CARRIER_REQUEST_MS`,
    /// `CARRIER_PARTS_PER_SECOND` (0: no limit).
    pub fn from_env(env: &mut Env) -> Self {
        let adapter = adapter_from_env(env);
        let numbers = (adapter.max_numbers)(own_ids_from_env(env, adapter));
        let limit = env.number("CARRIER_PARTS_PER_SECOND", 0..=1_000_000, Some(0));
        let concurrency = env.number("SEND_CONCURRENCY", 1..=1000, Some(20));
        Self {
            in_flight: concurrency * env.number("SEND_IN_FLIGHT", 1..=100, Some(2)),
            batch: env.number("BATCH_SIZE", 1..=10_000, Some(500)),
            numbers: numbers as u32,
            request_ms: env.number("CARRIER_REQUEST_MS", 1..=60_000, Some(200)),
            parts_per_second: (limit > 0).then_some(limit),
        }
    }
}

/// The amount to send.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Messages.
    pub messages: u64,
    /// Their parts.
    pub parts: u64,
    /// Requests to the carrier.
    pub requests: u64,
    /// The rate of the schedule, in messages per second.
    pub rate: Option<u32>,
}

/// The limits that may determine the speed.
const LIMITS: [&str; 3] = ["requests", "carrier", "rate"];

/// The estimate.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Forecast {
    /// Requests to the carrier.
    pub requests: u64,
    /// From the first message to the last, in seconds.
    pub duration_s: f64,
    /// What limits the speed: the schedule's `rate`, the `carrier`'s limit, or the number of
    /// `requests`.
    #[schemars(extend("enum" = LIMITS))]
    pub limited_by: &'static str,
}

/// Estimates the duration: that of the slowest limit.
pub fn forecast(load: Load, capacity: Capacity) -> Forecast {
    let requests = load.requests;
    let per_second =
        |count: u64, rate: Option<u32>| rate.map_or(0.0, |rate| count as f64 / f64::from(rate));
    let in_flight =
        requests as f64 * f64::from(capacity.request_ms) / 1000.0 / f64::from(capacity.in_flight);
    let limits = [
        (LIMITS[0], in_flight),
        (LIMITS[1], per_second(load.parts, capacity.parts_per_second)),
        (LIMITS[2], per_second(load.messages, load.rate)),
    ];
    let (limited_by, duration_s) = limits
        .into_iter()
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .unwrap_or_default();
    Forecast {
        requests,
        duration_s: (duration_s * 10.0).ceil() / 10.0,
        limited_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: Capacity = Capacity {
        in_flight: 40,
        numbers: 100,
        batch: 500,
        request_ms: 200,
        parts_per_second: None,
    };
    const LOAD: Load = Load {
        messages: 1_000_000,
        parts: 2_000_000,
        requests: 10_000,
        rate: None,
    };

    #[test]
    fn the_slowest_limit_decides_the_duration() {
        let limited = Capacity {
            parts_per_second: Some(1_000),
            ..CAPACITY
        };
        let slow = Load {
            rate: Some(10),
            ..LOAD
        };
        let single = Load {
            requests: 1_000_000,
            ..LOAD
        };
        for (load, capacity, duration_s, limited_by) in [
            (LOAD, CAPACITY, 50.0, "requests"),
            (LOAD, limited, 2_000.0, "carrier"),
            (slow, limited, 100_000.0, "rate"),
            (single, CAPACITY, 5_000.0, "requests"),
        ] {
            let expected = Forecast {
                requests: load.requests,
                duration_s,
                limited_by,
            };
            assert_eq!(forecast(load, capacity), expected);
        }
        assert!(forecast(Load::default(), CAPACITY).duration_s.abs() < f64::EPSILON);
    }
}
