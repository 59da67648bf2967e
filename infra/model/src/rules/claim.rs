//! `batches`: the claim, the release, the finish, and late answers, which make a batch due again.

use shared::{message::status::Status, platform::backoff::MAX_CRASHES};

use crate::rows::{Age, Batch, Due, Hold, Row, Schedule, ScheduleStatus};

fn is_free(batch: &Batch) -> bool {
    (batch.token.is_none() || batch.lease_over) && u32::from(batch.crashes) < MAX_CRASHES
}

/// Checks that [`claim_to_send`] matches. `stopped`: the brake is set, so that batches are only
/// closed.
pub fn may_claim_to_send(batch: &Batch, schedule: &Schedule, stopped: bool) -> bool {
    let allows_claims = match schedule.status {
        ScheduleStatus::Running => !stopped && !is_held(schedule),
        ScheduleStatus::Cancelled => true,
        _ => false,
    };
    batch.send_at == Due::Now && is_free(batch) && allows_claims
}

/// Checks that a batch is held behind a canary: only while its schedule runs, so that a cancellation
/// closes it.
pub fn is_held(schedule: &Schedule) -> bool {
    schedule.status == ScheduleStatus::Running && schedule.hold == Hold::Behind
}

/// Checks that [`claim_to_check`] matches.
pub fn may_claim_to_check(batch: &Batch) -> bool {
    batch.check_at == Due::Now && is_free(batch)
}

/// Models `claim_to_send`. What was waiting for its turn is sent now.
pub fn claim_to_send(batch: &mut Batch, token: u8) {
    claim_to_check(batch, token);
    batch.waiting = false;
}

/// Models `claim_to_check`.
pub fn claim_to_check(batch: &mut Batch, token: u8) {
    *batch = Batch {
        crashes: batch.crashes + 1,
        token: Some(token),
        lease_over: false,
        sweep_at: Due::Later,
        ..*batch
    };
}

/// Checks that the sweep enqueues the batch for a send pass.
pub fn sweep_enqueues_send(batch: &Batch, schedule: &Schedule, stopped: bool) -> bool {
    batch.send_at == Due::Now
        && !batch.waiting
        && u32::from(batch.crashes) < MAX_CRASHES
        && schedule.status != ScheduleStatus::Paused
        && (!stopped || schedule.status == ScheduleStatus::Cancelled)
}

/// Checks that the sweep enqueues the batch for a recheck pass.
pub fn sweep_enqueues_check(batch: &Batch) -> bool {
    batch.check_at == Due::Now && u32::from(batch.crashes) < MAX_CRASHES
}

/// The input of a release.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// The allowed resends. 0 if the schedule was neither running nor paused when it was read.
    pub max_resends: u8,
    /// UNCERTAIN rows are sent again.
    pub resend_uncertain: bool,
    /// UNCERTAIN rows can be queried.
    pub ask_uncertain: bool,
    /// The PENDING rows wait for their turn afterwards. `None`: as before.
    pub waits: Option<bool>,
    /// The due time for rows that need a send.
    pub send_at: Due,
    /// The due time for rows that need a recheck.
    pub check_at: Due,
}

/// Checks that the row needs `send_at`.
pub fn needs_send(row: &Row, batch: &Batch, input: &Release) -> bool {
    match row.status {
        // A resend that the carrier has not accepted was sent before: it is not held.
        Status::Pending => !batch.missed || row.resends > 0,
        Status::Expired if row.ended => false,
        Status::Undeliv | Status::Expired => row.resends < input.max_resends,
        Status::Uncertain => input.resend_uncertain && row.resends < input.max_resends,
        _ => false,
    }
}

/// Checks that the row needs `check_at`.
pub fn needs_check(row: &Row, input: &Release) -> bool {
    match row.status {
        Status::Sending | Status::Acceptd | Status::Enroute => true,
        Status::Uncertain => input.ask_uncertain && row.age < Age::PastDeadline,
        _ => false,
    }
}

/// Models `release`: computes the due times from the rows. Matches if the claim still owns the
/// batch.
pub fn release(batch: &mut Batch, rows: &[Row], owns: bool, input: &Release) -> bool {
    if !owns {
        return false;
    }
    let due = |needed: bool, at: Due| if needed { at } else { Due::Never };
    let send_at = due(
        rows.iter().any(|row| needs_send(row, batch, input)),
        input.send_at,
    );
    let check_at = due(
        rows.iter().any(|row| needs_check(row, input)),
        input.check_at,
    );
    let pending = rows.iter().any(|row| row.status == Status::Pending);
    let waiting = pending && !batch.missed && input.waits.unwrap_or(batch.waiting);
    // Both sweep times are in the future.
    let sweep_send_at = if waiting {
        Due::Unreachable
    } else {
        due(send_at.is_set(), Due::Later)
    };
    let sweep_at = sweep_send_at.least(due(check_at.is_set(), Due::Later));
    *batch = Batch {
        send_at,
        waiting,
        check_at,
        sweep_at,
        token: None,
        lease_over: false,
        crashes: 0,
        ..*batch
    };
    true
}

/// Checks that [`finish`] matches.
pub fn may_finish(schedule: &Schedule, batches: &[Batch]) -> bool {
    schedule.status == ScheduleStatus::Running
        && schedule.cut
        && batches.iter().all(|batch| !batch.sweep_at.is_set())
}

/// Models `finish_schedule`.
pub fn finish(schedule: &mut Schedule, batches: &[Batch]) {
    if may_finish(schedule, batches) {
        let missed = batches.iter().any(|batch| batch.missed);
        schedule.status = if missed {
            ScheduleStatus::Missed
        } else {
            ScheduleStatus::Finished
        };
    }
}

/// Models `make_due_if_lease_lost`. Returns `true` if the claim is lost and the batch is now due.
pub fn make_due_if_lease_lost(batch: &mut Batch, schedule: &mut Schedule, owns: bool) -> bool {
    if owns {
        return false;
    }
    // `LEAST(COALESCE(due, now), now)`
    *batch = Batch {
        check_at: Due::Now,
        sweep_at: Due::Now,
        ..*batch
    };
    reopen(schedule);
    true
}

/// Models `bring_forward` with `reopen_schedule`, which a receipt executes. Makes a batch without
/// an owner due and reopens its schedule. Returns `true` if the batch is now due.
pub fn bring_forward(batch: &mut Batch, schedule: &mut Schedule) -> bool {
    if batch.token.is_none() {
        *batch = Batch {
            check_at: Due::Now,
            sweep_at: Due::Now,
            ..*batch
        };
    }
    reopen(schedule);
    batch.token.is_none()
}

/// Models `reopen_schedule`: a cut schedule that has ended becomes running.
pub(super) fn reopen(schedule: &mut Schedule) {
    let has_ended = matches!(
        schedule.status,
        ScheduleStatus::Finished | ScheduleStatus::Missed
    );
    if has_ended && schedule.cut {
        schedule.status = ScheduleStatus::Running;
    }
}
