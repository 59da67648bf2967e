//! How long the system waits before it retries, and the limits that several functions share.
//!
//! A limit that only one file uses is a constant of that file. Pure, except for the jitter, which
//! keeps many workers that failed together from retrying at the same moment. A wait never uses up a
//! message's attempts: these are counted by the carrier's answers about the message itself.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::platform::{
    config::Env,
    queue::{self, MAX_DELAY},
};

/// Claims without a release after which a batch is parked until an operator retries it: otherwise a
/// bug that crashes the process would turn wave after wave UNCERTAIN. Two may be coincidence, such
/// as two deployments.
pub const MAX_CRASHES: u32 = 3;

/// The longest pause that a `Retry-After` may request; a longer one is more likely a mistake.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Events may arrive this much before the lead begins, because the clocks of EventBridge and of the
/// database differ.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(10);
/// Work that is due later than a queue can delay a message becomes visible to the sweep this long
/// before its due time: the minute between two sweeps, and a quarter more for a late sweep.
pub const SWEEP_BEFORE: TimeDelta = TimeDelta::seconds(75);

/// A message that is visible is received at once while workers are free. After this time it is
/// lost, or the queue shows it.
const LOST_AFTER: TimeDelta = TimeDelta::seconds(10);

/// How often the sweep of the next minute enqueues a batch again before it waits longer.
const NEXT_MINUTES: u32 = 4;

/// The delays that a deployment may set. The defaults are those of production; the chaos runner
/// uses seconds.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// A request has to end this long before the deadline, so that its answer is recorded and the
    /// batch released.
    pub recording_share: Duration,
    /// A lease ends this long after the deadline: by then Lambda has certainly ended the owner.
    pub lease_margin: TimeDelta,
    /// The sweep enqueues a batch again this long after it has enqueued it; doubled, up to sixteen
    /// times, each time. The first time it waits only [`Self::lost_after`].
    pub sweep: TimeDelta,
    /// The longest delay through the queue. During an outage of hours, a batch costs one claim in
    /// that time, and the outage ends for it at most this long after the carrier has recovered.
    pub backoff_max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            recording_share: Duration::from_secs(5),
            lease_margin: TimeDelta::seconds(10),
            sweep: TimeDelta::seconds(120),
            backoff_max: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// Reads `RECORDING_SHARE_S`, `LEASE_MARGIN_S`, `SWEEP_GRACE_S` and `BACKOFF_MAX_S`.
    pub fn from_env(env: &mut Env) -> Self {
        let default = Self::default();
        let mut seconds =
            |name, default: u64| u64::from(env.number(name, 1..=900, Some(default as u32)));
        Self {
            recording_share: Duration::from_secs(seconds(
                "RECORDING_SHARE_S",
                default.recording_share.as_secs(),
            )),
            lease_margin: TimeDelta::seconds(seconds(
                "LEASE_MARGIN_S",
                default.lease_margin.num_seconds() as u64,
            ) as i64),
            sweep: TimeDelta::seconds(
                seconds("SWEEP_GRACE_S", default.sweep.num_seconds() as u64) as i64
            ),
            backoff_max: Duration::from_secs(seconds(
                "BACKOFF_MAX_S",
                default.backoff_max.as_secs(),
            )),
        }
    }

    /// Returns the delay through the queue after `tries` send passes in a row without an
    /// acceptance.
    pub fn through_queue(&self, tries: u32, retry_after: Option<Duration>) -> Duration {
        let wait = doubled(Duration::from_secs(1), tries, self.backoff_max);
        jitter(wait.max(retry_after.unwrap_or_default().min(MAX_DELAY)))
    }

    /// Returns the delay after the n-th pass in a row in which the carrier refused everything (from
    /// 1).
    ///
    /// Short, because the third pass pauses the schedule: its operator hears of it within seconds.
    pub fn after_refusal(&self, refusals: u32) -> Duration {
        const WAITS_S: [u64; 3] = [1, 2, 5];
        let at = (refusals.max(1) as usize - 1).min(WAITS_S.len() - 1);
        jitter(Duration::from_secs(WAITS_S[at]).min(self.backoff_max * 10))
    }

    /// Returns how long after its due time a message may be lost that was enqueued once: if no
    /// worker has claimed the batch by then, and the queue shows no message, the sweep enqueues it
    /// again.
    pub fn lost_after(&self) -> TimeDelta {
        self.sweep.min(LOST_AFTER)
    }

    /// Returns how long the sweep waits before it looks again at a batch that it has enqueued again
    /// `requeues` times because its message was lost: ten seconds, then until its next minute, and
    /// after some minutes two minutes, doubled up to 32.
    ///
    /// It enqueues a batch again only if the queue shows no message. But messages that workers have
    /// received and cannot handle are not shown, and in an outage of hours they would become more
    /// and more.
    pub fn sweep_again(&self, requeues: u32) -> TimeDelta {
        match requeues {
            0 => self.lost_after(),
            1..=NEXT_MINUTES => self.lost_after() * 5,
            _ => self.sweep * (1 << (requeues - NEXT_MINUTES - 1).min(4)),
        }
    }

    /// Returns how long after its due time the sweep enqueues a batch for the time `requeues` + 1:
    /// the sum of its delays so far.
    pub fn sweep_after(&self, requeues: u32) -> TimeDelta {
        (0..=requeues.min(40))
            .map(|requeues| self.sweep_again(requeues))
            .sum()
    }

    /// Returns when the sweep takes up what is due at `due`: some time after it, if a message for
    /// it is enqueued now; else just before it, so that the sweep enqueues it with the exact delay.
    pub fn sweep_at(&self, due: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        if queue::within_reach(due, now) {
            due.max(now) + self.lost_after()
        } else {
            before_due(due)
        }
    }
}

/// Returns when a batch that is left to the sweep becomes visible to it.
pub fn before_due(due: DateTime<Utc>) -> DateTime<Utc> {
    due - SWEEP_BEFORE
}

/// Returns the delay inside an invocation after the n-th refused connection in a row (from 1).
pub fn in_place(in_a_row: u32) -> Duration {
    let (first, most) = (Duration::from_millis(250), Duration::from_secs(60));
    jitter(doubled(first, in_a_row, most))
}

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    (first * 2_u32.pow(times.saturating_sub(1).min(16))).min(max)
}

/// Returns a wait that is up to a quarter longer, never shorter: a `Retry-After` is kept.
pub fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + fastrand::f64() / 4.0)
}

#[cfg(test)]
mod tests;
