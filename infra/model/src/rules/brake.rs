//! `brakes`: while the brake is set, nothing is claimed to be sent. What is in progress ends.

use super::lifecycle::end_of_lease;
use crate::rows::{Batch, Due, Schedule, ScheduleStatus};

/// Whether the batch has something to send that the brake stops.
fn is_held(batch: &Batch, schedule: &Schedule) -> bool {
    batch.send_at.is_set() && !batch.waiting && schedule.status == ScheduleStatus::Running
}

/// Models the sweep, while the brake is set, at a batch that it would otherwise enqueue, now or later:
/// it does not look at it again before the release of the brake.
pub fn skip_while_stopped(batch: &mut Batch, schedule: &Schedule) {
    let is_owned = batch.token.is_some() && !batch.lease_over;
    if batch.sweep_at == Due::Now && is_held(batch, schedule) && !is_owned {
        batch.sweep_at = batch.check_at.or(Due::Unreachable);
    }
}

/// Models `make_due` of the brake: the sweep looks at each batch when it is due to be sent, or when
/// its lease ends.
pub fn release_brake(batch: &mut Batch, schedule: &Schedule) {
    if is_held(batch, schedule) {
        let look = match batch.token {
            None => batch.send_at,
            Some(_) => end_of_lease(batch),
        };
        batch.sweep_at = batch.sweep_at.least(look);
    }
}
