//! What a plan expects of the times at which its schedules are sent, by the carrier's ledger on the
//! run's clock. Pure: [`super::evidence`] reads the times.

use std::ops::RangeInclusive;

/// An expectation. All times are relative to the main schedule's `run_at`, like those of a script.
#[derive(Clone, Copy, Debug)]
pub enum Expectation {
    /// The carrier accepts the first message of each schedule soon enough after its time.
    FirstWithin {
        /// The longest delay in milliseconds.
        most_ms: i64,
    },
    /// When the first of two schedules is sent completely, the other has at least this share of
    /// its messages sent. Both have the same number of recipients.
    EqualShares {
        /// The places of the two schedules; 0 is the main one.
        schedules: [usize; 2],
        /// The least share, from 0 to 1.
        least: f64,
    },
    /// The main schedule's rate is kept: no second has more than two seconds' worth, and there is
    /// no gap except during a pause.
    KeepsRate {
        /// Messages per second.
        per_second: u32,
        /// The longest time without an acceptance, in milliseconds.
        longest_gap_ms: i64,
        /// Start and end of the pause, in seconds.
        pause_s: [i64; 2],
    },
    /// The schedule has messages sent before this interval and after it, and none in it.
    Silent {
        /// Its place; 0 is the main one.
        schedule: usize,
        /// Start in seconds.
        from_s: i64,
        /// End in seconds.
        to_s: i64,
    },
    /// The schedule is sent completely before this time.
    SentBy {
        /// Its place; 0 is the main one.
        schedule: usize,
        /// Seconds.
        by_s: i64,
    },
    /// A part of the main schedule is sent before this time, and the rest ends EXPIRED because of
    /// the schedule's end, which is at this time.
    EndsAt {
        /// Seconds.
        at_s: i64,
    },
    /// Before this time, at which an operator resumes it, only the canary of the main schedule is sent;
    /// something of the rest is sent after it.
    OnlyCanary {
        /// Its recipients.
        recipients: usize,
        /// Seconds.
        until_s: i64,
    },
    /// Nothing of the main schedule is sent before it begins. Every change that is asked for long
    /// enough before that is made, and at least one is made after `run_at`.
    WaitsForWindow,
    /// The carrier refuses at least one request with 429, and at most this share of them.
    Throttled {
        /// The most refused requests, from 0 to 1 of all.
        most: f64,
    },
    /// The carrier refuses at most this share of the requests with 429.
    ThrottledAtMost {
        /// From 0 to 1 of all.
        most: f64,
    },
    /// At most so many messages of the main schedule are sent before this time, and some after it.
    AtMost {
        /// Messages.
        messages: usize,
        /// Seconds.
        until_s: i64,
    },
    /// The carrier refuses at least one request for lack of credit, and at most so many.
    OutOfCredit {
        /// Requests.
        most: u64,
    },
}

/// The time for which a request that started in time may be on its way to the carrier.
const ON_THE_WAY_MS: i64 = 500;

/// A schedule may be cut so long before it begins.
const CUT_AHEAD_MS: i64 = 100_000;

/// A change that an operator asked for.
#[derive(Clone, Copy, Debug)]
pub struct AnsweredChange {
    /// The time of the answer, in milliseconds after the main schedule's time.
    pub at_ms: i64,
    /// Whether it was made.
    pub is_made: bool,
}

/// How one schedule was sent.
#[derive(Clone, Debug, Default)]
pub struct SentSchedule {
    /// Its own time, in milliseconds after that of the main schedule.
    pub run_at_ms: i64,
    /// When it begins: at its time, or when its window opens.
    pub starts_ms: i64,
    /// Its recipients.
    pub recipients: usize,
    /// The recipients that its end has closed.
    pub ended: usize,
    /// The times of its acceptances in milliseconds, in order.
    pub accepted_ms: Vec<i64>,
}

/// How all schedules of a run were sent.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The schedules; the first is the main one.
    pub schedules: Vec<SentSchedule>,
    /// The changes of the main schedule.
    pub changes: Vec<AnsweredChange>,
    /// Submit requests.
    pub requests: u64,
    /// Those that were refused with 429.
    pub throttled: u64,
    /// Those that were refused for lack of credit.
    pub without_credit: u64,
}

impl Expectation {
    /// Returns a description of what is not as expected.
    pub fn problem(&self, evidence: &Evidence) -> Option<String> {
        let found = match *self {
            Self::FirstWithin { most_ms } => evidence.late_schedules(most_ms),
            Self::EqualShares { schedules, least } => evidence.unequal_share(schedules, least),
            Self::KeepsRate {
                per_second,
                longest_gap_ms,
                pause_s,
            } => {
                let accepted_ms = &evidence.schedules[0].accepted_ms;
                burst(accepted_ms, per_second).or_else(|| gap(accepted_ms, longest_gap_ms, pause_s))
            }
            Self::Silent {
                schedule,
                from_s,
                to_s,
            } => evidence.schedules[schedule].noise(from_s * 1000, to_s * 1000),
            Self::SentBy { schedule, by_s } => evidence.schedules[schedule].rest_after(by_s * 1000),
            Self::EndsAt { at_s } => evidence.schedules[0].wrong_end(at_s * 1000),
            Self::OnlyCanary {
                recipients,
                until_s,
            } => evidence.schedules[0].beyond_canary(recipients, until_s * 1000),
            Self::WaitsForWindow => evidence.early_start(),
            Self::Throttled { most } => evidence.throttled_share(f64::MIN_POSITIVE..=most),
            Self::ThrottledAtMost { most } => evidence.throttled_share(0.0..=most),
            Self::AtMost { messages, until_s } => {
                evidence.schedules[0].beyond(messages, until_s * 1000)
            }
            Self::OutOfCredit { most } => (!(1..=most).contains(&evidence.without_credit))
                .then(|| format!("{} requests without credit", evidence.without_credit)),
        };
        found.map(|found| format!("{found}; expected {self:?}"))
    }
}

impl Evidence {
    /// Reports a share of throttled requests that is not in a range.
    fn throttled_share(&self, expected: RangeInclusive<f64>) -> Option<String> {
        let (throttled, requests) = (self.throttled, self.requests);
        let share = throttled as f64 / requests.max(1) as f64;
        (!expected.contains(&share)).then(|| format!("{throttled} of {requests} requests got 429"))
    }

    fn late_schedules(&self, most_ms: i64) -> Option<String> {
        let late: Vec<_> = self
            .schedules
            .iter()
            .enumerate()
            .filter_map(|(place, schedule)| {
                let late_ms = schedule.accepted_ms.first()? - schedule.run_at_ms;
                (late_ms > most_ms).then(|| format!("schedule {place} began {late_ms} ms late"))
            })
            .collect();
        (!late.is_empty()).then(|| late.join(", "))
    }

    fn early_start(&self) -> Option<String> {
        let starts_ms = self.schedules[0].starts_ms;
        let first_ms = self.schedules[0].accepted_ms.first();
        let mut refused = self.changes.iter().filter(|change| !change.is_made);
        let is_waiting = |at_ms| (0..starts_ms).contains(&at_ms);
        if let Some(early_ms) = first_ms.filter(|at_ms| **at_ms < starts_ms) {
            return Some(format!("sent {} ms before the start", starts_ms - early_ms));
        }
        if let Some(change) = refused.find(|change| change.at_ms < starts_ms - CUT_AHEAD_MS) {
            let before_ms = starts_ms - change.at_ms;
            return Some(format!(
                "a change {before_ms} ms before the start is refused"
            ));
        }
        let mut made = self.changes.iter().filter(|change| change.is_made);
        let none = !made.any(|change| is_waiting(change.at_ms));
        none.then(|| "no change was made while the schedule waited".to_owned())
    }

    fn unequal_share(&self, schedules: [usize; 2], least: f64) -> Option<String> {
        let sent = schedules.map(|place| &self.schedules[place].accepted_ms);
        let end = sent
            .iter()
            .filter_map(|accepted_ms| accepted_ms.last())
            .min()?;
        let shares = sent.map(|accepted_ms| {
            let until_end = accepted_ms.partition_point(|at_ms| at_ms <= end);
            until_end as f64 / accepted_ms.len().max(1) as f64
        });
        let smaller = shares[0].min(shares[1]);
        (smaller < least).then(|| format!("when one was sent, the other was at {smaller:.2}"))
    }
}

impl SentSchedule {
    /// Reports messages behind a canary before the end of its pause, and a rest that was never sent.
    fn beyond_canary(&self, recipients: usize, until_ms: i64) -> Option<String> {
        let before = self.accepted_ms.iter().filter(|at_ms| **at_ms < until_ms);
        let (before, all) = (before.count(), self.accepted_ms.len());
        (before > recipients || all <= recipients)
            .then(|| format!("{before} messages before the resume, {all} in all"))
    }

    fn noise(&self, from_ms: i64, to_ms: i64) -> Option<String> {
        let before = self.accepted_ms.partition_point(|at_ms| *at_ms < from_ms);
        let until = self.accepted_ms.partition_point(|at_ms| *at_ms < to_ms);
        let after = self.accepted_ms.len() - until;
        (before == 0 || until > before || after == 0).then(|| {
            format!(
                "{before} acceptances before the interval, {} in it, {after} after it",
                until - before
            )
        })
    }

    fn beyond(&self, messages: usize, until_ms: i64) -> Option<String> {
        let before = self.accepted_ms.partition_point(|at_ms| *at_ms < until_ms);
        let after = self.accepted_ms.len() - before;
        (before > messages || after == 0)
            .then(|| format!("{before} acceptances before that time, {after} after it"))
    }

    fn rest_after(&self, by_ms: i64) -> Option<String> {
        let sent = self.accepted_ms.partition_point(|at_ms| *at_ms < by_ms);
        (sent < self.recipients).then(|| format!("{sent} of {} were sent in time", self.recipients))
    }

    fn wrong_end(&self, at_ms: i64) -> Option<String> {
        let sent = self.accepted_ms.len();
        let last_ms = self.accepted_ms.last().copied().unwrap_or_default();
        let wrong = sent == 0
            || self.ended == 0
            || sent + self.ended != self.recipients
            || last_ms > at_ms + ON_THE_WAY_MS;
        wrong.then(|| {
            format!(
                "{sent} of {} were sent, the last {} ms before the end, and {} expired",
                self.recipients,
                at_ms - last_ms,
                self.ended
            )
        })
    }
}

/// Finds a second with more than two seconds' worth of a rate.
fn burst(accepted_ms: &[i64], per_second: u32) -> Option<String> {
    let count_from = |from_ms: i64| accepted_ms.partition_point(|at_ms| *at_ms < from_ms + 1000);
    accepted_ms
        .iter()
        .enumerate()
        .map(|(place, &from_ms)| (from_ms, count_from(from_ms) - place))
        .find(|(_, count)| *count > 2 * per_second as usize)
        .map(|(from_ms, count)| format!("{count} in the second from {from_ms} ms"))
}

/// Finds a time without an acceptance that is too long, and not a pause.
fn gap(accepted_ms: &[i64], longest_ms: i64, pause_s: [i64; 2]) -> Option<String> {
    let [pause_from_ms, pause_to_ms] = pause_s.map(|at_s| at_s * 1000);
    accepted_ms.windows(2).find_map(|pair| {
        let overlap_ms = pair[1].min(pause_to_ms) - pair[0].max(pause_from_ms);
        let gap_ms = pair[1] - pair[0] - overlap_ms.max(0);
        (gap_ms > longest_ms).then(|| format!("nothing for {gap_ms} ms from {} ms", pair[0]))
    })
}

#[cfg(test)]
mod tests;
