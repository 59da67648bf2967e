//! What people do to a schedule that has been cut: each a transaction under the lock of its row.

use crate::database::{Batch, Due, Life, Schedule};

/// scheduled or running → paused.
pub fn pause(schedule: &mut Schedule) -> bool {
    let may = matches!(schedule.status, Life::Scheduled | Life::Running);
    if may {
        schedule.status = Life::Paused;
    }
    may
}

/// paused → running, or scheduled where it has not been cut; what is to be sent becomes due at `send_at`.
pub fn resume(schedule: &mut Schedule, batches: &mut [Batch], send_at: Due) -> bool {
    if schedule.status != Life::Paused {
        return false;
    }
    schedule.status = if schedule.cut {
        Life::Running
    } else {
        Life::Scheduled
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

/// Any state but the last ones → cancelled; batches come due, so that workers close what was not sent.
pub fn cancel(schedule: &mut Schedule, batches: &mut [Batch]) -> bool {
    let may = match schedule.status {
        Life::Draft | Life::Scheduled | Life::Running | Life::Paused | Life::Missed => true,
        Life::Finished | Life::Cancelled => false,
    };
    if !may {
        return false;
    }
    schedule.status = Life::Cancelled;
    for batch in batches.iter_mut() {
        if (batch.send_at.is_set() || batch.missed) && batch.token.is_none() {
            *batch = Batch {
                send_at: Due::Now,
                sweep_at: Due::Now,
                ..*batch
            };
        }
        // Also of a batch that is owned: its release then finds the rows to be closed.
        batch.missed = false;
    }
    true
}
