//! What is found too late waits for a person, and so does what is UNCERTAIN on hold.

use shared::message::status::Status;

use crate::database::{Batch, Due, Life, Row, Schedule};

/// Whether [`hold_missed`] matches.
pub fn may_hold_missed(schedule: &Schedule, owns: bool) -> bool {
    owns && schedule.status == Life::Running
}

/// `hold_missed`: the owner of a batch found too late leaves its rows PENDING.
pub fn hold_missed(batch: &mut Batch, schedule: &Schedule, owns: bool) -> bool {
    let may = may_hold_missed(schedule, owns);
    if may {
        batch.missed = true;
    }
    may
}

/// The states from which the API lets a person send now what was missed.
pub fn may_send_now(schedule: &Schedule) -> bool {
    matches!(
        schedule.status,
        Life::Missed | Life::Running | Life::Finished
    )
}

/// `send_held_now`: what was held is due, and a missed schedule runs again. A batch that is owned gets its due time from its release.
pub fn send_now(schedule: &mut Schedule, batches: &mut [Batch]) -> bool {
    let held = batches.iter().any(|batch| batch.missed);
    for batch in batches.iter_mut().filter(|batch| batch.missed) {
        batch.missed = false;
        if batch.token.is_none() {
            *batch = Batch {
                send_at: Due::Now,
                sweep_at: Due::Now,
                ..*batch
            };
        }
    }
    if held && schedule.status == Life::Missed && schedule.cut {
        schedule.status = Life::Running;
    }
    held
}

/// An operator may decide on an UNCERTAIN row whose batch nobody works on.
pub fn may_resolve(row: &Row, batch: &Batch) -> bool {
    row.status == Status::Uncertain && (batch.token.is_none() || batch.lease_over)
}

/// It was sent, says the operator: final.
pub fn resolve_sent(row: &mut Row, batch: &mut Batch, schedule: &mut Schedule) {
    row.status = Status::Unknown;
    wake(batch, schedule);
}

/// It is to be sent again, says the operator.
pub fn resolve_resend(row: &mut Row, batch: &mut Batch, schedule: &mut Schedule) {
    row.kept[usize::from(row.attempt)] = Some(row.status);
    row.resends += 1;
    row.status = Status::Pending;
    batch.send_at = Due::Now;
    wake(batch, schedule);
}

fn wake(batch: &mut Batch, schedule: &mut Schedule) {
    if !batch.send_at.is_set() {
        batch.check_at = Due::Now;
    }
    batch.sweep_at = Due::Now;
    if matches!(schedule.status, Life::Finished | Life::Missed) && schedule.cut {
        schedule.status = Life::Running;
    }
}
