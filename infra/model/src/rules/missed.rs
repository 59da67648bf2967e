//! Batches that are found too late, and UNCERTAIN rows with `on_uncertain: hold`, wait for an
//! operator.

use shared::message::status::Status;

use super::{
    admission::{open_turn, wait_for_turn},
    claim::reopen,
};
use crate::rows::{Batch, Due, Row, Schedule, ScheduleStatus};

/// Checks that [`hold_missed`] matches.
pub fn may_hold_missed(schedule: &Schedule, owns: bool) -> bool {
    owns && schedule.status == ScheduleStatus::Running
}

/// Models `hold_missed`: the owner of a batch that is found too late leaves its rows PENDING.
/// Returns `true` if it matched.
pub fn hold_missed(batch: &mut Batch, schedule: &Schedule, owns: bool) -> bool {
    let may = may_hold_missed(schedule, owns);
    if may {
        batch.missed = true;
    }
    may
}

/// Checks that the API lets an operator send the missed batches now.
pub fn may_send_now(schedule: &Schedule) -> bool {
    matches!(
        schedule.status,
        ScheduleStatus::Missed | ScheduleStatus::Running | ScheduleStatus::Finished
    )
}

/// Models `send_held_now`: held batches become due, and a missed schedule becomes running. A batch
/// with an owner gets its due time from its release. Returns `true` if a batch was held.
pub fn send_now(schedule: &mut Schedule, batches: &mut [Batch], has_pending: bool) -> bool {
    let held = batches.iter().any(|batch| batch.missed);
    for batch in batches.iter_mut().filter(|batch| batch.missed) {
        batch.missed = false;
        if batch.token.is_none() {
            batch.send_at = Due::Now;
            wait_for_turn(batch, has_pending);
        }
    }
    if held && schedule.status == ScheduleStatus::Missed && schedule.cut {
        schedule.status = ScheduleStatus::Running;
    }
    if held {
        open_turn(schedule, batches);
    }
    held
}

/// Checks that an operator may resolve the row: it is UNCERTAIN and no live claim owns its batch.
pub fn may_resolve(row: &Row, batch: &Batch) -> bool {
    row.status == Status::Uncertain && (batch.token.is_none() || batch.lease_over)
}

/// Models the resolution "sent": the row becomes UNKNOWN, which is final.
pub fn resolve_sent(row: &mut Row, batch: &mut Batch, schedule: &mut Schedule) {
    row.status = Status::Unknown;
    recount(batch, schedule);
}

/// Models the resolution "resend": the row becomes PENDING.
pub fn resolve_resend(row: &mut Row, batch: &mut Batch, schedule: &mut Schedule) {
    row.earlier_attempts[usize::from(row.attempt)] = Some(row.status);
    row.resends += 1;
    row.status = Status::Pending;
    recount(batch, schedule);
    batch.send_at = Due::Now;
    batch.waiting = true;
    open_turn(schedule, std::slice::from_ref(batch));
}

/// Models `recount_batch`: makes a batch due whose row an operator has resolved, ends a lease that
/// has expired, and reopens the schedule.
fn recount(batch: &mut Batch, schedule: &mut Schedule) {
    *batch = Batch {
        check_at: Due::Now,
        sweep_at: Due::Now,
        token: None,
        lease_over: false,
        ..*batch
    };
    reopen(schedule);
}
