//! The operations of an operator on a schedule. Each is a transaction under the lock of its row.

use super::admission::{open_turn, wait_for_turn};
use crate::rows::{Batch, Due, Schedule, ScheduleStatus};

/// Pauses a schedule: `scheduled` or `running` → `paused`. Returns `true` if it matched.
pub fn pause(schedule: &mut Schedule) -> bool {
    let may = matches!(
        schedule.status,
        ScheduleStatus::Scheduled | ScheduleStatus::Running
    );
    if may {
        schedule.status = ScheduleStatus::Paused;
    }
    may
}

/// Resumes a schedule: `paused` → `running`, or `scheduled` if it has not been cut. Batches that
/// need a send become due at `send_at`, and wait for their turn if recipients are PENDING. Returns
/// `true` if it matched.
pub fn resume(
    schedule: &mut Schedule,
    batches: &mut [Batch],
    send_at: Due,
    has_pending: bool,
) -> bool {
    if schedule.status != ScheduleStatus::Paused {
        return false;
    }
    schedule.status = if schedule.cut {
        ScheduleStatus::Running
    } else {
        ScheduleStatus::Scheduled
    };
    for batch in batches.iter_mut().filter(|batch| batch.send_at.is_set()) {
        batch.send_at = send_at;
        if batch.token.is_none() {
            wait_for_turn(batch, has_pending);
        } else {
            batch.sweep_at = end_of_lease(batch);
        }
    }
    open_turn(schedule, batches);
    true
}

/// Cancels a schedule that is neither finished nor cancelled. Its batches become due, so that
/// workers close the recipients that were not sent. Returns `true` if it matched.
pub fn cancel(schedule: &mut Schedule, batches: &mut [Batch], has_pending: bool) -> bool {
    let may = match schedule.status {
        ScheduleStatus::Draft
        | ScheduleStatus::Scheduled
        | ScheduleStatus::Running
        | ScheduleStatus::Paused
        | ScheduleStatus::Missed => true,
        ScheduleStatus::Finished | ScheduleStatus::Cancelled => false,
    };
    if !may {
        return false;
    }
    schedule.status = ScheduleStatus::Cancelled;
    let to_close = |batch: &&mut Batch| batch.missed || batch.send_at.is_set();
    for batch in batches.iter_mut().filter(to_close) {
        // This includes batches with an owner: the release then finds the rows to be closed.
        batch.missed = false;
        if batch.token.is_none() {
            batch.send_at = Due::Now;
            wait_for_turn(batch, has_pending);
        } else {
            batch.sweep_at = batch.sweep_at.least(end_of_lease(batch));
        }
    }
    open_turn(schedule, batches);
    true
}

/// Returns the time at which the sweep looks at a batch whose owner has crashed.
pub(super) fn end_of_lease(batch: &Batch) -> Due {
    if batch.lease_over {
        Due::Now
    } else {
        Due::Later
    }
}
