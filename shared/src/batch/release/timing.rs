//! The delays and deadlines of a deployment, from which the next due times of a batch follow.

use std::time::Duration;

use chrono::TimeDelta;

use crate::platform::{backoff::Backoff, config::Env};

/// Delays and deadlines.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Delays of the rechecks after a send; the last one repeats.
    pub recheck_delays: Vec<Duration>,
    /// A message is not asked about any more this long after it was sent: less than the 24 hours
    /// for which the carrier remembers it.
    pub recheck_deadline: TimeDelta,
    /// The delay before a message that ended UNDELIV or EXPIRED is sent again.
    pub resend_delay: TimeDelta,
    /// The delay before an UNCERTAIN message is sent again, and before a carrier's "not found"
    /// counts: a request that is still on the wire has arrived by then.
    pub quiet_time: TimeDelta,
    /// Leases, back-off and the delays of the sweep.
    pub backoff: Backoff,
}

impl Timing {
    /// Reads `RECHECK_DELAYS_S`, `RECHECK_DEADLINE_S`, `RESEND_DELAY_S`, `UNCERTAIN_QUIET_S`, and
    /// those of [`Backoff`].
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

    /// Returns the delay after `checks` rechecks since the last send.
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
