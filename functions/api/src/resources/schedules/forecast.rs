//! How long a list will take: what the deployment allows, against what is to be sent. An estimate: nobody knows how fast the carrier will
//! be.

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    carrier::registry::{ADAPTERS, adapter_from_env, own_ids_from_env},
    platform::config::Env,
};

/// What the deployment allows.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Requests to the carrier in flight, of all environments together.
    pub in_flight: u32,
    /// Numbers a request.
    pub numbers: u32,
    /// Recipients a batch; numbers share a request within one.
    pub batch: u32,
    /// Milliseconds that the carrier takes for one, as somebody measured.
    pub request_ms: u32,
    /// Message parts a second that the carrier takes; none: no limit is known.
    pub parts_per_second: Option<u32>,
}

/// That of the template's defaults.
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

/// What is to be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Messages.
    pub messages: u64,
    /// Their parts.
    pub parts: u64,
    /// Requests to the carrier.
    pub requests: u64,
    /// Messages a second that the schedule asks for.
    pub rate: Option<u32>,
}

/// What may be the slowest.
const LIMITS: [&str; 3] = ["requests", "carrier", "rate"];

/// What to expect of it.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Forecast {
    /// Requests to the carrier.
    pub requests: u64,
    /// From the first message to the last, in seconds.
    pub duration_s: f64,
    /// What it is that takes so long: the schedule's `rate`, the `carrier`'s limit, or the number of `requests`.
    #[schemars(extend("enum" = LIMITS))]
    pub limited_by: &'static str,
}

/// The slowest of what limits it.
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

    #[test]
    fn the_slowest_says_how_long_it_takes() {
        let capacity = Capacity {
            in_flight: 40,
            numbers: 100,
            batch: 500,
            request_ms: 200,
            parts_per_second: None,
        };
        let load = Load {
            messages: 1_000_000,
            parts: 2_000_000,
            requests: 10_000,
            rate: None,
        };
        assert_eq!(
            forecast(load, capacity),
            Forecast {
                requests: 10_000,
                duration_s: 50.0,
                limited_by: "requests"
            }
        );
        let limited = Capacity {
            parts_per_second: Some(1_000),
            ..capacity
        };
        assert_eq!(
            forecast(load, limited),
            Forecast {
                requests: 10_000,
                duration_s: 2_000.0,
                limited_by: "carrier"
            }
        );
        let slow = Load {
            rate: Some(10),
            ..load
        };
        assert_eq!(
            forecast(slow, limited),
            Forecast {
                requests: 10_000,
                duration_s: 100_000.0,
                limited_by: "rate"
            }
        );
        let single = Load {
            requests: 1_000_000,
            ..load
        };
        assert_eq!(
            forecast(single, capacity),
            Forecast {
                requests: 1_000_000,
                duration_s: 5_000.0,
                limited_by: "requests"
            }
        );
        assert!(forecast(Load::default(), capacity).duration_s.abs() < f64::EPSILON);
    }
}
