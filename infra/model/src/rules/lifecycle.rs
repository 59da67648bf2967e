//! The operations of an operator on a schedule. Each is a transaction under the lock of its row.

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
/// need a send become due at `send_at`. Returns `true` if it matched.
pub fn resume(schedule: &mut Schedule, batches: &mut [Batch], send_at: Due) -> bool {
    if schedule.status != ScheduleStatus::Paused {
        return false;
    }
    schedule.status = if schedule.cut {
        ScheduleStatus::Running
    } else {
        ScheduleStatus::Scheduled
    };
    for batch in batches.iter_mut().filter(|batch| batch.send_at.is_set()) {
        *batch = Batch {
            send_at,
            sweep_at: Due::Now,
            ..*batch
        };
    }
    true
}

/// Cancels a schedule that is neither finished nor cancelled. Its batches become due, so that
/// workers close the recipients that were not sent. Returns `true` if it matched.
pub fn cancel(schedule: &mut Schedule, batches: &mut [Batch]) -> bool {
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
    for batch in batches.iter_mut() {
        if (batch.send_at.is_set() || batch.missed) && batch.token.is_none() {
            *batch = Batch {
                send_at: Due::Now,
                sweep_at: Due::Now,
                ..*batch
            };
        }
        // This includes batches with an owner: the release then finds the rows to be closed.
        batch.missed = false;
    }
    true
}
