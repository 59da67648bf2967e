//! One recipient that a caller cancels or changes until it is sent. Each is a transaction under the
//! locks of the schedule, the batch and the recipient.

use shared::message::status::Status;

use super::claim::reopen;
use crate::rows::{Batch, Due, Row, Schedule};

/// Checks that a recipient can still be cancelled or changed: no request has carried it, or may
/// have.
pub fn is_in_time(row: &Row) -> bool {
    row.status == Status::Pending && row.resends == 0
}

/// Models the cancellation of a recipient. Returns `true` if it was in time.
///
/// The owner of a batch keeps it: its mark does not match the row any more, and its release counts
/// the rows. A batch without an owner is counted, and becomes due for a recheck, which publishes the
/// end of the message and finishes the schedule. `others_pending`: other rows of the batch are
/// PENDING. Without them a held batch is held no more.
pub fn cancel_recipient(
    row: &mut Row,
    batch: &mut Batch,
    schedule: &mut Schedule,
    others_pending: bool,
) -> bool {
    if !is_in_time(row) {
        return false;
    }
    row.status = Status::Cancelled;
    if is_owned(batch) && !batch.missed {
        return true;
    }
    take(batch);
    if batch.missed && !others_pending {
        batch.missed = false;
        reopen(schedule);
    }
    true
}

/// Models the change of a recipient's number or variables. Returns `true` if it was in time.
///
/// A worker that has read the old ones loses the batch: its marks need the token.
pub fn change_recipient(row: &Row, batch: &mut Batch) -> bool {
    let may = is_in_time(row);
    if may && batch.token.is_some() {
        take(batch);
    }
    may
}

fn is_owned(batch: &Batch) -> bool {
    batch.token.is_some() && !batch.lease_over
}

/// Models `take_batch`: ends a claim, and makes the batch due for a recheck. An owner that loses the
/// batch here has not crashed.
fn take(batch: &mut Batch) {
    *batch = Batch {
        crashes: batch.crashes.saturating_sub(u8::from(is_owned(batch))),
        check_at: Due::Now,
        sweep_at: Due::Now,
        token: None,
        lease_over: false,
        ..*batch
    };
}
