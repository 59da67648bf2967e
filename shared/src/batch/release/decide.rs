//! Decides, at the end of a pass, when a batch is due next, when the sweep enqueues it if a message
//! is lost, and which queue messages are needed. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    timing::Timing,
    write::{DueTimes, Release},
};
use crate::{
    batch::{
        claim::{CLAIM_EARLY, Claim, ClaimedBatch},
        rows::BatchRow,
    },
    message::{status::Status, window::Window},
    platform::queue,
    schedule::{on_uncertain::OnUncertain, status::ScheduleStatus},
};

/// How a pass ended.
#[derive(Clone, Copy, Debug)]
pub enum PassResult {
    /// A send pass.
    Sent {
        /// The carrier accepted a message.
        accepted: bool,
        /// The carrier refused whole requests (4xx text), and accepted none.
        refused: bool,
        /// The carrier answered a request with 429.
        was_busy: bool,
        /// The delay before the rows that are still PENDING are tried again.
        wait: Duration,
        /// The rows that are still PENDING wait for their turn: the pass has used its time for
        /// waiting without getting capacity.
        back_to_waiting: bool,
    },
    /// A recheck pass.
    Checked {
        /// The next recheck is at least this far away, so that the schedule keeps its share of the
        /// carrier's limit on status queries. Zero without a limit.
        least_delay: TimeDelta,
    },
}

/// The resends and holds that apply to a batch at a given moment.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How often a message may be sent again; 0 if the schedule has ended or the time for resends
    /// is over.
    pub max_resends: u32,
    /// UNCERTAIN messages are sent again: the policy of the schedule is to resend, and the carrier
    /// cannot be asked.
    pub resend_uncertain: bool,
    /// PENDING rows that were never sent are held, because the batch was found too late.
    pub hold_pending: bool,
}

impl PassResult {
    /// Returns whether the carrier accepted a message.
    pub const fn accepted(self) -> bool {
        matches!(self, Self::Sent { accepted: true, .. })
    }

    /// Returns whether the carrier refused requests, and accepted none.
    pub const fn refused(self) -> bool {
        matches!(self, Self::Sent { refused: true, .. })
    }

    /// Returns whether PENDING rows wait for their turn afterwards; `None`: as before the pass.
    pub const fn waits(self) -> Option<bool> {
        match self {
            Self::Sent {
                back_to_waiting, ..
            } => Some(back_to_waiting),
            Self::Checked { .. } => None,
        }
    }

    /// Returns whether the batch waits for its turn again.
    pub const fn back_to_waiting(self) -> bool {
        matches!(
            self,
            Self::Sent {
                back_to_waiting: true,
                ..
            }
        )
    }
}

impl Policy {
    /// Returns the policy of a batch at `now`. `can_ask`: the carrier answers questions by an id
    /// that we chose.
    ///
    /// A pause changes nothing: messages that it holds back are sent when it ends.
    pub fn of(batch: &ClaimedBatch, can_ask: bool, now: DateTime<Utc>) -> Self {
        let active = matches!(
            batch.schedule_status,
            ScheduleStatus::Running | ScheduleStatus::Paused
        );
        let in_time = now < batch.planned_at + TimeDelta::seconds(batch.resend_within_s.into());
        Self {
            max_resends: if active && in_time && !batch.is_over(now) {
                batch.max_resends
            } else {
                0
            },
            resend_uncertain: batch.on_uncertain == OnUncertain::Resend && !can_ask,
            hold_pending: batch.missed,
        }
    }

    /// Returns whether a PENDING row is held. A resend that was not accepted yet is not: its
    /// message was on time.
    const fn holds(self, row: &BatchRow) -> bool {
        self.hold_pending && row.resends == 0
    }

    /// Returns when `row` is sent (again), at `now` or later; `None` if it is not sent.
    pub fn send_at(
        &self,
        row: &BatchRow,
        timing: &Timing,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let resends_left = row.resends < self.max_resends;
        match row.status {
            Status::Pending => (!self.holds(row)).then_some(now),
            Status::Undeliv | Status::Expired if resends_left => {
                Some(now.max(row.final_at.unwrap_or(now) + timing.resend_delay))
            }
            Status::Uncertain if resends_left && self.resend_uncertain => Some(
                row.sent_at
                    .map_or(now, |sent_at| now.max(sent_at + timing.quiet_time)),
            ),
            _ => None,
        }
    }
}

/// The messages that a release enqueues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueMessages {
    /// Due time of the message for send, if one is needed.
    pub send_at: Option<DateTime<Utc>>,
    /// Due time of the message for recheck, if one is needed.
    pub check_at: Option<DateTime<Utc>>,
}

/// The input of the decision: a pass that has ended.
#[derive(Clone, Copy)]
pub struct EndedPass<'a> {
    /// The claim under which the pass ran.
    pub claim: &'a Claim,
    /// The batch as it was claimed.
    pub batch: &'a ClaimedBatch,
    /// Its rows as the pass has left them.
    pub rows: &'a [BatchRow],
    /// How the pass ended.
    pub result: PassResult,
    /// Whether the carrier can be asked about an UNCERTAIN message by an id that we chose.
    pub can_ask: bool,
}

impl EndedPass<'_> {
    /// Computes the values that the release writes.
    pub fn plan_release(&self, timing: &Timing, now: DateTime<Utc>) -> Release {
        let policy = Policy::of(self.batch, self.can_ask, now);
        let send_at = self.in_window(self.next_send(policy, timing, now));
        // At the end of the schedule a pass closes what is left.
        let send_at = self
            .batch
            .ends_at
            .map_or(send_at, |ends_at| send_at.min(ends_at.max(now)));
        let check_at = self.next_check(timing, now);
        Release {
            max_resends: policy.max_resends,
            resend_uncertain: policy.resend_uncertain,
            ask_uncertain_since: self.can_ask.then(|| now - timing.recheck_deadline),
            send_at,
            check_at,
            sweep_send_at: self.sweep_at(self.batch.send_at, send_at, timing, now),
            sweep_check_at: self.sweep_at(self.batch.check_at, check_at, timing, now),
            result: self.result,
        }
    }

    /// Returns which of the due times that the release has set need a queue message now.
    pub fn due_messages(&self, dues: DueTimes, now: DateTime<Utc>) -> DueMessages {
        let needed = |planned, due: Option<DateTime<Utc>>| {
            due.filter(|due| {
                queue::within_reach(*due, now) && !self.is_on_queue(planned, *due, now)
            })
        };
        DueMessages {
            send_at: needed(self.batch.send_at, dues.send_at.filter(|_| !dues.waiting)),
            check_at: needed(self.batch.check_at, dues.check_at),
        }
    }

    /// Returns when the sweep takes up what is due at `due` and was `planned` before this pass.
    ///
    /// A message that is on its queue already may be lost, or wait in a long queue: the sweep's
    /// delay then counts from the due time, not from this pass.
    fn sweep_at(
        &self,
        planned: Option<DateTime<Utc>>,
        due: DateTime<Utc>,
        timing: &Timing,
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        if self.is_on_queue(planned, due, now) {
            now.max(due + timing.backoff.sweep_after(self.batch.requeues))
        } else {
            timing.backoff.sweep_at(due, now)
        }
    }

    /// Returns `send_at`, moved to the next opening of the schedule's window if it is closed then.
    /// A cancelled schedule does not wait: its rows are only closed.
    fn in_window(&self, send_at: DateTime<Utc>) -> DateTime<Utc> {
        match Window::of(self.batch.send_window.as_deref()) {
            Some(window) if self.batch.schedule_status != ScheduleStatus::Cancelled => {
                window.next_open(send_at)
            }
            _ => send_at,
        }
    }

    /// Whether a message for `due` is on its queue already, because it was planned before this
    /// pass. A message that was due during the pass has found the batch owned, and is gone.
    fn is_on_queue(
        &self,
        planned: Option<DateTime<Utc>>,
        due: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> bool {
        let during_pass = self.claim.at - CLAIM_EARLY..=now + CLAIM_EARLY;
        planned == Some(due) && !during_pass.contains(&due) && queue::within_reach(due, now)
    }

    /// Returns when the batch is sent next, if the release finds a row to send.
    fn next_send(&self, policy: Policy, timing: &Timing, now: DateTime<Utc>) -> DateTime<Utc> {
        let pending_at = match self.result {
            PassResult::Sent { wait, .. } => now + TimeDelta::from_std(wait).unwrap_or_default(),
            // A recheck does not end the back-off of a send.
            PassResult::Checked { .. } => self.batch.send_at.unwrap_or(now),
        };
        let due = |row: &BatchRow| match row.status {
            Status::Pending => (!policy.holds(row)).then_some(pending_at),
            _ => policy.send_at(row, timing, now),
        };
        // Without such a row the release finds nothing to send, and does not use the time.
        let due = self.rows.iter().filter_map(due).min().unwrap_or(pending_at);
        match (self.result, self.batch.send_at) {
            // Otherwise frequent rechecks would postpone a planned send for ever.
            (PassResult::Checked { .. }, Some(planned)) => due.min(planned),
            _ => due,
        }
    }

    /// Returns when the batch is checked next, if the release finds a row to ask about.
    fn next_check(&self, timing: &Timing, now: DateTime<Utc>) -> DateTime<Utc> {
        let delay = match self.result {
            PassResult::Checked { least_delay } => {
                timing.recheck_delay(self.batch.checks).max(least_delay)
            }
            PassResult::Sent { .. } => timing.recheck_delay(0),
        };
        let delayed = now + delay;
        // The last recheck runs at the deadline, not some time after it.
        let open = self
            .rows
            .iter()
            .filter(|row| matches!(row.status, Status::Acceptd | Status::Enroute));
        let deadlines = open
            .filter_map(|row| row.sent_at)
            .map(|sent_at| sent_at + timing.recheck_deadline);
        let capped = deadlines
            .filter(|deadline| *deadline > now)
            .min()
            .map_or(delayed, |deadline| delayed.min(deadline));
        match (self.result, self.batch.check_at) {
            // A recheck that was planned before this send is kept.
            (PassResult::Sent { .. }, Some(planned)) => capped.min(planned),
            _ => capped,
        }
    }
}

#[cfg(test)]
mod tests;
