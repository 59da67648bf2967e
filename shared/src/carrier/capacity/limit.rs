//! What is known about a limit, and the size of requests under it. Pure.

use std::time::Duration;

use super::LimitKind;
use crate::platform::{config::Env, run_time::RunTimeValues};

/// A second's limit is divided into at most this many requests, if they hold that many messages.
/// More requests would be smaller, and a carrier that limits requests, which nobody has configured,
/// would refuse them however slowly they are sent; fewer are a coarse measure of a low limit.
const MOST_REQUESTS_PER_SECOND: f64 = 5.0;
/// Seconds of requests in flight with which a lone batch uses all of the limit: with the default of
/// `SEND_IN_FLIGHT` it has two requests of a hundred numbers in flight, and a quarter is for waits.
const IN_FLIGHT: f64 = 1.5;

/// The deployment's defaults from the environment, used unless a limit is set over the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitDefaults {
    /// Message parts or status queries per second; `None`: learned from answers 429.
    pub per_second: Option<u32>,
    /// HTTP requests per second; `None`: no such limit.
    pub requests_per_second: Option<u32>,
}

impl LimitDefaults {
    /// Reads the variables of a kind of limit (0: none): `CARRIER_PARTS_PER_SECOND` and
    /// `CARRIER_REQUESTS_PER_SECOND`, or `CARRIER_QUERIES_PER_SECOND`.
    pub fn from_env(env: &mut Env, kind: LimitKind) -> Self {
        let mut limit = |name| {
            let value = env.number(name, 0..=1_000_000, Some(0));
            (value > 0).then_some(value)
        };
        match kind {
            LimitKind::Submit => Self {
                per_second: limit("CARRIER_PARTS_PER_SECOND"),
                requests_per_second: limit("CARRIER_REQUESTS_PER_SECOND"),
            },
            LimitKind::Query => Self {
                per_second: limit("CARRIER_QUERIES_PER_SECOND"),
                requests_per_second: None,
            },
        }
    }

    /// Returns the defaults with what an operator has changed since the deployment.
    #[must_use]
    pub fn with(self, kind: LimitKind, values: &RunTimeValues) -> Self {
        let changed = |value: Option<u32>, deployed| match value {
            Some(value) => (value > 0).then_some(value),
            None => deployed,
        };
        match kind {
            LimitKind::Submit => Self {
                per_second: changed(values.carrier_parts_per_second, self.per_second),
                requests_per_second: changed(
                    values.carrier_requests_per_second,
                    self.requests_per_second,
                ),
            },
            LimitKind::Query => Self {
                per_second: changed(values.carrier_queries_per_second, self.per_second),
                ..self
            },
        }
    }
}

/// What is known about a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Units (message parts or status queries) per second that the API or the deployment has set.
    pub configured: Option<f64>,
    /// HTTP requests per second that the API or the deployment has set.
    pub requests_per_second: Option<f64>,
    /// Units per second that were learned; `None`: the carrier has never answered 429.
    pub learned: Option<f64>,
    /// Moving average of the response time of a request.
    pub response: Duration,
}

impl Limit {
    /// Returns the units per second that apply: configured, else learned.
    pub fn per_second(&self) -> Option<f64> {
        self.configured.or(self.learned)
    }

    /// Returns the size of a request in units: a multiple of `per_message` (the units of one
    /// message), at least one message, at most `max` units.
    ///
    /// A second's limit is divided into equal requests without a rest. A carrier that counts in
    /// windows of a second would refuse the request that no longer fits into the window.
    pub fn request_units(&self, max: u32, per_message: u32) -> u32 {
        let per_message = per_message.max(1);
        let most = (max / per_message).max(1);
        let Some(per_second) = self.per_second() else {
            return most * per_message;
        };
        let messages = per_second / f64::from(per_message);
        // Whole numbers, so that the requests of a second fill it.
        let needed = (messages / f64::from(most)).ceil();
        let by_response = (IN_FLIGHT / self.response.as_secs_f64().max(0.001)).floor();
        let wanted = by_response.clamp(1.0, MOST_REQUESTS_PER_SECOND);
        let limit = self.requests_per_second.unwrap_or(f64::INFINITY);
        let requests = wanted.min(limit).max(needed).max(1.0);
        let size = (messages / requests).floor() as u32;
        size.clamp(1, most) * per_message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: Option<f64>, requests_per_second: Option<f64>) -> Limit {
        Limit {
            configured: per_second,
            requests_per_second,
            learned: None,
            response: Duration::from_millis(100),
        }
    }

    #[test]
    fn a_second_is_divided_into_equal_requests() {
        for (per_second, requests, max, per_message, expected) in [
            (None, None, 100, 1, 100),
            (None, None, 100, 3, 99),
            (Some(10.0), None, 100, 1, 2),
            (Some(1.0), None, 100, 1, 1),
            (Some(1.0), None, 100, 4, 4),
            (Some(100.0), None, 100, 1, 20),
            (Some(150.0), None, 100, 1, 30),
            (Some(1000.0), Some(10.0), 100, 1, 100),
            (Some(2000.0), None, 100, 1, 100),
            (Some(250.0), None, 100, 1, 50),
            (Some(250.0), Some(3.0), 100, 1, 83),
            (Some(100.0), Some(1.0), 100, 1, 100),
            (Some(100.0), None, 300, 3, 18),
        ] {
            let limit = limit(per_second, requests);
            assert_eq!(
                limit.request_units(max, per_message),
                expected,
                "{per_second:?} {requests:?} {max} {per_message}"
            );
        }
    }

    #[test]
    fn slow_answers_lead_to_larger_requests() {
        for (response_ms, expected) in [(100, 200), (400, 333), (1000, 1000), (5000, 1000)] {
            let mut limit = limit(Some(1000.0), None);
            limit.response = Duration::from_millis(response_ms);
            assert_eq!(limit.request_units(2000, 1), expected, "{response_ms}");
        }
    }

    #[test]
    fn a_configured_limit_takes_precedence_over_a_learned_one() {
        let mut known = limit(None, None);
        assert_eq!(known.per_second(), None);
        known.learned = Some(7.0);
        assert_eq!(known.per_second(), Some(7.0));
        known.configured = Some(9.0);
        assert_eq!(known.per_second(), Some(9.0));
    }

    #[test]
    fn zero_in_the_environment_means_no_limit() {
        let mut env = Env::from_pairs([
            ("CARRIER_PARTS_PER_SECOND", "0"),
            ("CARRIER_REQUESTS_PER_SECOND", "10"),
        ]);
        let submit = LimitDefaults::from_env(&mut env, LimitKind::Submit);
        assert_eq!(submit.per_second, None);
        assert_eq!(submit.requests_per_second, Some(10));
        let query = LimitDefaults::from_env(&mut env, LimitKind::Query);
        assert_eq!(query, LimitDefaults::default());
    }

    #[test]
    fn a_value_of_the_run_time_replaces_that_of_the_deployment() {
        let deployed = LimitDefaults {
            per_second: Some(100),
            requests_per_second: Some(5),
        };
        let unchanged = RunTimeValues::default();
        assert_eq!(deployed.with(LimitKind::Submit, &unchanged), deployed);
        let values = RunTimeValues {
            carrier_parts_per_second: Some(250),
            carrier_requests_per_second: Some(0),
            carrier_queries_per_second: Some(40),
            ..RunTimeValues::default()
        };
        let submit = deployed.with(LimitKind::Submit, &values);
        assert_eq!(
            (submit.per_second, submit.requests_per_second),
            (Some(250), None)
        );
        let query = LimitDefaults::default().with(LimitKind::Query, &values);
        assert_eq!(
            (query.per_second, query.requests_per_second),
            (Some(40), None)
        );
    }
}
