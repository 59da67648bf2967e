//! What the deployment can send, from its settings.

use shared::{
    carrier::{
        capacity::{LimitDefaults, LimitKind},
        registry::{ADAPTERS, adapter_from_env, own_ids_from_env},
    },
    platform::{
        config::Env,
        run_time::{self, RunTimeValues},
    },
};

/// The capacity of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct DeploymentCapacity {
    /// Batches that are sent at the same time.
    pub concurrency: u32,
    /// Numbers in flight in each.
    pub in_flight: u32,
    /// Phone numbers per request.
    pub numbers: u32,
    /// Recipients per batch. Numbers share a request only within a batch.
    pub batch: u32,
    /// Duration of a request in milliseconds, as measured.
    pub request_ms: u32,
    /// The deployment's limits of sending.
    pub submit: LimitDefaults,
    /// The deployment's limits of status queries.
    pub query: LimitDefaults,
    /// The deployment's `BULK_ABOVE`; `None`: never.
    pub bulk_above: Option<u32>,
}

/// The capacity of the template's defaults.
impl Default for DeploymentCapacity {
    fn default() -> Self {
        Self {
            concurrency: 20,
            in_flight: 200,
            numbers: (ADAPTERS[0].max_numbers)(false) as u32,
            batch: 2_000,
            request_ms: 200,
            submit: LimitDefaults::default(),
            query: LimitDefaults::default(),
            bulk_above: Some(20_000),
        }
    }
}

impl DeploymentCapacity {
    /// Returns the numbers in flight, of all environments together.
    pub fn in_flight(&self) -> u32 {
        self.in_flight_with(&run_time::values())
    }

    fn in_flight_with(&self, values: &RunTimeValues) -> u32 {
        values.send_concurrency(self.concurrency) * self.in_flight
    }

    /// Returns the limits of a kind that apply unless others are set over the API.
    pub fn limit(&self, kind: LimitKind) -> LimitDefaults {
        let deployed = match kind {
            LimitKind::Submit => self.submit,
            LimitKind::Query => self.query,
        };
        deployed.with(kind, &run_time::values())
    }

    /// Returns above how many recipients a schedule has priority bulk unless its caller chooses
    /// another; `None`: no schedule.
    pub fn bulk_above(&self) -> Option<u32> {
        match run_time::values().bulk_above {
            Some(most) => (most > 0).then_some(most),
            None => self.bulk_above,
        }
    }

    /// Reads `SEND_CONCURRENCY`, `SEND_IN_FLIGHT`, `BATCH_SIZE`, `CARRIER_ADAPTER` and
    /// `CARRIER_OWN_IDS` (which decide how many numbers fit in a request), `CARRIER_REQUEST_MS`,
    /// the carrier's limits ([`LimitDefaults::from_env`]) and `BULK_ABOVE` (0: none).
    pub fn from_env(env: &mut Env) -> Self {
        let adapter = adapter_from_env(env);
        let numbers = (adapter.max_numbers)(own_ids_from_env(env, adapter));
        let bulk_above = env.number("BULK_ABOVE", 0..=u32::MAX, Some(20_000));
        Self {
            concurrency: env.number("SEND_CONCURRENCY", 1..=1000, Some(20)),
            in_flight: env.number("SEND_IN_FLIGHT", 1..=10_000, Some(200)),
            batch: env.number("BATCH_SIZE", 1..=10_000, Some(2_000)),
            numbers: numbers as u32,
            request_ms: env.number("CARRIER_REQUEST_MS", 1..=60_000, Some(200)),
            submit: LimitDefaults::from_env(env, LimitKind::Submit),
            query: LimitDefaults::from_env(env, LimitKind::Query),
            bulk_above: (bulk_above > 0).then_some(bulk_above),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_batches_at_the_same_time_have_fewer_numbers_in_flight() {
        let deployed = DeploymentCapacity::default();
        for (set, expected) in [(None, 4_000), (Some(5), 1_000), (Some(1000), 4_000)] {
            let values = RunTimeValues {
                send_concurrency: set,
                ..RunTimeValues::default()
            };
            assert_eq!(deployed.in_flight_with(&values), expected, "{set:?}");
        }
    }
}
