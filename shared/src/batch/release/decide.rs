//! Decides, at the end of a pass, when a batch is due next, when the sweep looks at it, and which
//! queue messages that takes. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    timing::Timing,
    write::{Dues, Release},
};
use crate::{
    batch::{
        claim::{Claim, ClaimedBatch},
        rows::BatchRow,
    },
    message::{status::Status, window::Window},
    platform::{backoff::CLAIM_EARLY, queue},
};

/// How a pass ended.
#[derive(Clone, Copy, Debug)]
pub enum Ended {
    /// A send pass.
    Sent {
        /// The carrier took something.
        accepted: bool,
        /// The carrier refused a whole request.
        refused: bool,
        /// Before what is PENDING is tried again.
        wait: Duration,
    },
    /// A recheck pass.
    Checked,
}

/// The policy of one schedule, as it stands now.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How often a message may be sent again; 0 when the schedule has ended or its time for resends is over.
    pub max_resends: u32,
    /// UNCERTAIN messages are sent again, as nobody can be asked.
    pub resend_uncertain: bool,
    /// What was never sent is held: it was found too late.
    pub hold_pending: bool,
}

impl Policy {
    /// A pause changes nothing: what it holds back is still to be sent when it ends.
    pub fn of(batch: &ClaimedBatch, can_ask: bool, now: DateTime<Utc>) -> Self {
        let alive = matches!(batch.schedule_status.as_str(), "running" | "paused");
        let in_time = now < batch.planned_at + TimeDelta::seconds(batch.resend_within_s.into());
        Self {
            max_resends: if alive && in_time {
                batch.max_resends
            } else {
                0
            },
            resend_uncertain: batch.on_uncertain == "resend" && !can_ask,
            hold_pending: batch.missed,
        }
    }

    /// When `row` is to be sent (again), counting from `now`; `None`: it is not.
    pub fn send_at(
        &self,
        row: &BatchRow,
        timing: &Timing,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let again = row.resends < self.max_resends;
        match row.status {
            Status::Pending => (!self.hold_pending).then_some(now),
            Status::Undeliv | Status::Expired if again => {
                Some(now.max(row.final_at.unwrap_or(now) + timing.resend_delay))
            }
            Status::Uncertain if again && self.resend_uncertain => Some(
                row.sent_at
                    .map_or(now, |sent_at| now.max(sent_at + timing.quiet_time)),
            ),
            _ => None,
        }
    }
}

/// What a pass knows when it ends.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The claim under which it ran.
    pub claim: &'a Claim,
    /// The batch as it was claimed.
    pub batch: &'a ClaimedBatch,
    /// Its rows as the pass has left them.
    pub rows: &'a [BatchRow],
    /// How it ended.
    pub ended: Ended,
    /// Whether an UNCERTAIN message can be asked by an id of ours.
    pub can_ask: bool,
}

impl Pass<'_> {
    /// Computes what the release writes.
    pub fn plan_release(&self, timing: &Timing, now: DateTime<Utc>) -> Release {
        let Self {
            claim,
            batch,
            rows,
            ended,
            can_ask,
        } = *self;
        let sweep = |planned, due| {
            let waits = is_on_queue(planned, due, (claim.at, now));
            // Its message may be lost, or wait in a long queue: the sweep's patience counts from the due time, not from this pass.
            if waits {
                now.max(due + timing.backoff.sweep_after(batch.requeues))
            } else {
                timing.backoff.sweep_at(due, now)
            }
        };
        let policy = Policy::of(batch, can_ask, now);
        let send_at = next_send(batch, rows, timing, (policy, ended), now);
        let send_at = self.in_window(send_at);
        let check_at = next_check(batch, rows, timing, ended, now);
        let (accepted, refused) = match ended {
            Ended::Sent {
                accepted, refused, ..
            } => (accepted, refused),
            Ended::Checked => (false, false),
        };
        Release {
            max_resends: policy.max_resends,
            resend_uncertain: policy.resend_uncertain,
            ask_uncertain_since: can_ask.then(|| now - timing.recheck_deadline),
            send_at,
            check_at,
            sweep_send_at: sweep(batch.send_at, send_at),
            sweep_check_at: sweep(batch.check_at, check_at),
            accepted,
            refused,
        }
    }

    /// The time, or when the schedule's window opens next. What is only to be closed waits for none.
    fn in_window(&self, send_at: DateTime<Utc>) -> DateTime<Utc> {
        match Window::of(self.batch.send_window.as_deref()) {
            Some(window) if self.batch.schedule_status != "cancelled" => window.next_open(send_at),
            _ => send_at,
        }
    }

    /// Which of the dues that the release has set want a message now: for sending, for asking.
    pub fn to_enqueue(
        &self,
        dues: Dues,
        now: DateTime<Utc>,
    ) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let wanted = |planned, due: Option<DateTime<Utc>>| {
            due.filter(|due| {
                queue::within_reach(*due, now) && !is_on_queue(planned, *due, (self.claim.at, now))
            })
        };
        (
            wanted(self.batch.send_at, dues.send_at),
            wanted(self.batch.check_at, dues.check_at),
        )
    }
}

/// Whether a message for `due` is on its queue already, as it was planned before this pass. One that was due during the pass, from
/// `claimed_at` to `now`, has found the batch owned and is gone.
fn is_on_queue(
    planned: Option<DateTime<Utc>>,
    due: DateTime<Utc>,
    (claimed_at, now): (DateTime<Utc>, DateTime<Utc>),
) -> bool {
    let during = claimed_at - CLAIM_EARLY..=now + CLAIM_EARLY;
    planned == Some(due) && !during.contains(&due) && queue::within_reach(due, now)
}

fn next_send(
    batch: &ClaimedBatch,
    rows: &[BatchRow],
    timing: &Timing,
    (policy, ended): (Policy, Ended),
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let pending_at = match ended {
        Ended::Sent { wait, .. } => now + TimeDelta::from_std(wait).unwrap_or_default(),
        // What waits for its back-off goes on waiting.
        Ended::Checked => batch.send_at.unwrap_or(now),
    };
    let due = |row: &BatchRow| match row.status {
        Status::Pending => (!policy.hold_pending).then_some(pending_at),
        _ => policy.send_at(row, timing, now),
    };
    // Without such a row the release finds nothing to send, and does not use the time.
    let due = rows.iter().filter_map(due).min().unwrap_or(pending_at);
    match (ended, batch.send_at) {
        // Rechecks that come often would put a planned send off for ever.
        (Ended::Checked, Some(planned)) => due.min(planned),
        _ => due,
    }
}

fn next_check(
    batch: &ClaimedBatch,
    rows: &[BatchRow],
    timing: &Timing,
    ended: Ended,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let checks = if matches!(ended, Ended::Checked) {
        batch.checks
    } else {
        0
    };
    let delayed = now + timing.recheck_delay(checks);
    // The last question comes at the deadline, not some time after it.
    let open = rows
        .iter()
        .filter(|row| matches!(row.status, Status::Acceptd | Status::Enroute));
    let deadlines = open
        .filter_map(|row| row.sent_at)
        .map(|sent_at| sent_at + timing.recheck_deadline);
    let capped = deadlines
        .filter(|deadline| *deadline > now)
        .min()
        .map_or(delayed, |deadline| delayed.min(deadline));
    match (ended, batch.check_at) {
        // A recheck that was planned before this send is kept.
        (Ended::Sent { .. }, Some(planned)) => capped.min(planned),
        _ => capped,
    }
}

#[cfg(test)]
mod tests;
