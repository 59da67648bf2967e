//! `batches`: claimed, released, finished, and made due again by an answer that comes late.

use shared::{message::status::Status, platform::backoff::MAX_CRASHES};

use crate::database::{Age, Batch, Due, Life, Row, Schedule};

fn is_free(batch: &Batch) -> bool {
    (batch.token.is_none() || batch.lease_over) && u32::from(batch.crashes) < MAX_CRASHES
}

/// Whether [`claim`] matches for a send pass.
pub fn may_claim_to_send(batch: &Batch, schedule: &Schedule) -> bool {
    let alive = matches!(schedule.status, Life::Running | Life::Cancelled);
    batch.send_at == Due::Now && is_free(batch) && alive
}

/// Whether [`claim`] matches for a recheck pass.
pub fn may_claim_to_check(batch: &Batch) -> bool {
    batch.check_at == Due::Now && is_free(batch)
}

/// `claim_to_send`, `claim_to_check`
pub fn claim(batch: &mut Batch, token: u8) {
    *batch = Batch {
        crashes: batch.crashes + 1,
        token: Some(token),
        lease_over: false,
        sweep_at: Due::Later,
        ..*batch
    };
}

/// Whether the sweep enqueues the batch for sending.
pub fn hands_out_send(batch: &Batch, schedule: &Schedule) -> bool {
    batch.send_at == Due::Now
        && u32::from(batch.crashes) < MAX_CRASHES
        && schedule.status != Life::Paused
}

/// Whether the sweep enqueues the batch for asking.
pub fn hands_out_check(batch: &Batch) -> bool {
    batch.check_at == Due::Now && u32::from(batch.crashes) < MAX_CRASHES
}

/// What a release is told.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// Resends that are allowed, 0 when the schedule was not alive at the claim.
    pub max_resends: u8,
    /// UNCERTAIN rows are sent again.
    pub resend_uncertain: bool,
    /// UNCERTAIN rows can be asked.
    pub ask_uncertain: bool,
    /// Due time of what is to be sent.
    pub send_at: Due,
    /// Due time of what is to be asked.
    pub check_at: Due,
}

/// Whether the row keeps `send_at` set.
pub fn wants_send(row: &Row, batch: &Batch, told: &Release) -> bool {
    match row.status {
        Status::Pending => !batch.missed,
        Status::Undeliv | Status::Expired => row.resends < told.max_resends,
        Status::Uncertain => told.resend_uncertain && row.resends < told.max_resends,
        _ => false,
    }
}

/// Whether the row keeps `check_at` set.
pub fn wants_check(row: &Row, told: &Release) -> bool {
    match row.status {
        Status::Sending | Status::Acceptd | Status::Enroute => true,
        Status::Uncertain => told.ask_uncertain && row.age < Age::Old,
        _ => false,
    }
}

/// `release`: dues from the rows, if the batch is still the claim's.
pub fn release(batch: &mut Batch, rows: &[Row], owns: bool, told: &Release) -> bool {
    if !owns {
        return false;
    }
    let due = |wanted: bool, at: Due| if wanted { at } else { Due::Never };
    let send_at = due(
        rows.iter().any(|row| wants_send(row, batch, told)),
        told.send_at,
    );
    let check_at = due(rows.iter().any(|row| wants_check(row, told)), told.check_at);
    // Both sweep times come after now.
    let sweep_at = if send_at.is_set() || check_at.is_set() {
        Due::Later
    } else {
        Due::Never
    };
    *batch = Batch {
        send_at,
        check_at,
        sweep_at,
        token: None,
        lease_over: false,
        crashes: 0,
        ..*batch
    };
    true
}

/// Whether [`finish`] matches.
pub fn may_finish(schedule: &Schedule, batches: &[Batch]) -> bool {
    schedule.status == Life::Running
        && schedule.cut
        && batches.iter().all(|batch| !batch.sweep_at.is_set())
}

/// `finish_schedule`
pub fn finish(schedule: &mut Schedule, batches: &[Batch]) {
    if may_finish(schedule, batches) {
        let missed = batches.iter().any(|batch| batch.missed);
        schedule.status = if missed { Life::Missed } else { Life::Finished };
    }
}

/// `make_due_if_lease_lost`. True: the claim is lost, and the batch due again.
pub fn poke(batch: &mut Batch, schedule: &mut Schedule, owns: bool) -> bool {
    if owns {
        return false;
    }
    // `LEAST(COALESCE(due, now), now)`
    *batch = Batch {
        check_at: Due::Now,
        sweep_at: Due::Now,
        ..*batch
    };
    if matches!(schedule.status, Life::Finished | Life::Missed) && schedule.cut {
        schedule.status = Life::Running;
    }
    true
}

/// `bring_forward`, and the schedule reopened behind it: for a receipt, where nobody owns the batch. True: it is due again.
pub fn bring_forward(batch: &mut Batch, schedule: &mut Schedule) -> bool {
    if batch.token.is_none() {
        *batch = Batch {
            check_at: Due::Now,
            sweep_at: Due::Now,
            ..*batch
        };
    }
    if matches!(schedule.status, Life::Finished | Life::Missed) && schedule.cut {
        schedule.status = Life::Running;
    }
    batch.token.is_none()
}
