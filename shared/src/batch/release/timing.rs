//! When a batch is due again: the delays and deadlines of a deployment.

use std::time::Duration;

use chrono::TimeDelta;

use crate::platform::{backoff::Backoff, config::Env};

/// When things are done again.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Delays of the rechecks after a send; the last one repeats.
    pub recheck_delays: Vec<Duration>,
    /// After so long since it was sent nothing is asked any more: under the carrier's 24 hours of memory.
    pub recheck_deadline: TimeDelta,
    /// Before a message that ended UNDELIV or EXPIRED is sent again.
    pub resend_delay: TimeDelta,
    /// Before an UNCERTAIN message is sent again, and before a carrier's "not found" is believed: what is still on the wire has
    /// arrived by then.
    pub quiet_time: TimeDelta,
    /// Leases, back-off, and the sweep's patience.
    pub backoff: Backoff,
}

impl Timing {
    /// `RECHECK_DELAYS_S`, `RECHECK_DEADLINE_S`, `RESEND_DELAY_S`, `UNCERTAIN_QUIET_S`, and those of [`Backoff`].
    pub fn from_env(env: &mut Env) -> Self {
        let backoff = Backoff::from_env(env);
        let mut seconds =
            |name, range, default| TimeDelta::seconds(env.number(name, range, default).into());
        Self {
            recheck_deadline: seconds("RECHECK_DEADLINE_S", 60..=86_400, Some(82_800)),
            resend_delay: seconds("RESEND_DELAY_S", 1..=86_400, Some(300)),
            quiet_time: seconds("UNCERTAIN_QUIET_S", 1..=86_400, Some(300)),
            recheck_delays: env.seconds_list("RECHECK_DELAYS_S"),
            backoff,
        }
    }

    /// The delay after so many rechecks since the last send.
    pub(super) fn recheck_delay(&self, checks: u32) -> TimeDelta {
        let delay = self
            .recheck_delays
            .get(checks as usize)
            .or(self.recheck_delays.last());
        delay
            .and_then(|delay| TimeDelta::from_std(*delay).ok())
            .unwrap_or(TimeDelta::minutes(1))
    }
}
