//! `turns` and `batches.waiting`: which batches are on a queue. A claim does not read them.

use crate::rows::{Batch, Due, Hold, Schedule, ScheduleStatus};

/// Checks that an admission considers the schedule's turn. `stopped`: the brake is set.
pub fn may_admit(schedule: &Schedule, stopped: bool) -> bool {
    schedule.turn
        && match schedule.status {
            ScheduleStatus::Running => !stopped,
            ScheduleStatus::Cancelled => true,
            _ => false,
        }
}

/// Models `admit_batches`. A batch that a worker has claimed meanwhile does not match. Until it is
/// marked as enqueued, the sweep finds it at once. Returns `true` if it matched.
pub fn admit(batch: &mut Batch) -> bool {
    let may = batch.waiting && batch.token.is_none() && batch.send_at.is_set();
    if may {
        *batch = Batch {
            waiting: false,
            send_at: Due::Now,
            sweep_at: Due::Now,
            ..*batch
        };
    }
    may
}

/// Models `open_turn` and `return_batch`, in the transaction that makes a batch wait.
pub fn open_turn(schedule: &mut Schedule, batches: &[Batch]) {
    schedule.turn |= batches.iter().any(|batch| batch.waiting);
}

/// Models `end_turn`.
pub fn end_turn(schedule: &mut Schedule, batches: &[Batch]) {
    schedule.turn &= batches.iter().any(|batch| batch.waiting);
}

/// Checks that `hold_turn` puts the turn aside, of which nothing is left but what is held.
pub fn may_hold_turn(schedule: &Schedule) -> bool {
    schedule.turn && schedule.status == ScheduleStatus::Running && schedule.hold != Hold::Nothing
}

/// Models `release_held`, with the turn that its callers open. What waits is planned for now at the
/// earliest.
pub fn release_held(schedule: &mut Schedule, batches: &[Batch]) {
    schedule.hold = Hold::Nothing;
    open_turn(schedule, batches);
}

/// Makes a batch without an owner wait for its turn if something of it is PENDING. Otherwise the
/// sweep enqueues it.
pub(super) fn wait_for_turn(batch: &mut Batch, has_pending: bool) {
    batch.waiting |= has_pending;
    batch.sweep_at = if batch.waiting {
        batch.check_at.or(Due::Unreachable)
    } else {
        Due::Now
    };
}
