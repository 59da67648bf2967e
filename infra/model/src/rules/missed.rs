//! What is found too late waits for a person, and so does what is UNCERTAIN on hold.

use shared::status::Status;

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

/// Send now: what was missed is due, and the schedule runs again.
pub fn send_now(schedule: &mut Schedule, batches: &mut [Batch]) -> bool {
    let may = matches!(schedule.status, Life::Missed | Life::Running) && batches.iter().any(|batch| batch.missed);
    if may {
        schedule.status = Life::Running;
        for batch in batches.iter_mut().filter(|batch| batch.missed) {
            *batch = Batch { missed: false, send_at: Due::Now, sweep_at: Due::Now, ..*batch };
        }
    }
    may
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
        batch.check_at = batch.check_at.at_once();
    }
    batch.sweep_at = Due::Now;
    if matches!(schedule.status, Life::Finished | Life::Missed) && schedule.cut {
        schedule.status = Life::Running;
    }
}
