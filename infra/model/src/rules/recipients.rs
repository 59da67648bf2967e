//! `recipients` and `attempts`: the statements that workers and receipts execute.

use shared::{batch::rows::Step, message::status::Status};

use crate::rows::{Age, Row, Schedule, ScheduleStatus};

/// One row of a flush.
#[derive(Clone, Copy, Debug)]
pub struct Flush {
    /// The kind of change.
    pub step: Step,
    /// The attempt that the row must have.
    pub attempt: u8,
    /// The new status.
    pub status: Status,
    /// The mark counts as a resend.
    pub resend: bool,
    /// The parts for which the answer contains ids.
    pub ids: u8,
    /// The worker, which stands for the time of the flush.
    pub by: u8,
}

/// Checks that the policy may send a row with this status again. UNDELIV and EXPIRED are final, but
/// a policy can allow a resend.
pub const fn may_be_sent_again(status: Status) -> bool {
    matches!(
        status,
        Status::Undeliv | Status::Expired | Status::Uncertain
    )
}

/// Checks that a mark matches. It precedes a request, and needs the token, a running schedule and
/// the attempt.
pub fn may_mark(row: &Row, schedule: &Schedule, owns: bool, attempt: u8) -> bool {
    let markable = row.status == Status::Pending || may_be_sent_again(row.status);
    row.attempt == attempt && owns && schedule.status == ScheduleStatus::Running && markable
}

/// Checks that an answer matches. An answer is a fact, so it needs the attempt only.
pub fn may_answer(row: &Row, attempt: u8) -> bool {
    row.attempt == attempt && matches!(row.status, Status::Sending | Status::Uncertain)
}

/// Checks that a skip matches: it writes a final status without a request.
pub fn may_skip(row: &Row, owns: bool, attempt: u8) -> bool {
    row.attempt == attempt && owns && row.status == Status::Pending
}

/// Checks that the removal of a mark matches, for a mark whose request never started. That is a fact,
/// like an answer. The time says that the mark is that of this flush.
pub fn may_unmark(row: &Row, by: u8, attempt: u8) -> bool {
    may_answer(row, attempt) && row.marked_by == Some(by)
}

/// Models `flush`. Returns `true` if the row matched.
pub fn flush(row: &mut Row, schedule: &Schedule, owns: bool, flush: &Flush) -> bool {
    let may = match flush.step {
        Step::Mark => may_mark(row, schedule, owns, flush.attempt),
        Step::Answer => may_answer(row, flush.attempt),
        Step::Skip => may_skip(row, owns, flush.attempt),
        Step::Unmark => may_unmark(row, flush.by, flush.attempt),
    };
    if may {
        let mark = flush.step == Step::Mark;
        row.resends += u8::from(flush.resend);
        row.attempt += u8::from(mark);
        if mark {
            (row.age, row.marked_by) = (Age::Fresh, Some(flush.by));
        }
        row.ids = flush.ids;
        row.ended = false;
        row.status = flush.status;
    }
    may
}

/// Models `FlushInPlace`, the statement by range that a pass tries before the transaction: it needs
/// the token also for answers, the running schedule also for answers beside marks, and marks only
/// rows that were never sent to. Whatever it leaves out, the transaction decides, so that a pass
/// behaves as with the transaction alone. Returns `true` if it matched.
pub fn flush_in_place(row: &mut Row, schedule: &Schedule, owns: bool, flush: &Flush) -> bool {
    let is_first_mark = flush.step != Step::Mark || row.status == Status::Pending;
    owns && is_first_mark && self::flush(row, schedule, owns, flush)
}

/// Models `keep_attempts`: copies the attempt that a mark overwrites.
pub fn keep_attempt(row: &mut Row, schedule: &Schedule, owns: bool, attempt: u8) {
    if may_be_sent_again(row.status)
        && row.attempt == attempt
        && owns
        && schedule.status == ScheduleStatus::Running
    {
        row.earlier_attempts[usize::from(attempt)] = Some(row.status);
    }
}

/// Models `record_late_answers`: records ids for an attempt that another attempt has followed.
pub fn record_late_answer(row: &mut Row, answer: &Flush) {
    let earlier = &mut row.earlier_attempts[usize::from(answer.attempt)];
    if answer.step == Step::Answer && answer.ids != 0 && *earlier == Some(Status::Uncertain) {
        *earlier = Some(answer.status);
    }
}

/// Models `mark_owner_lost`. Returns `true` if it matched.
pub fn mark_owner_lost(row: &mut Row, owns: bool) -> bool {
    let may = owns && row.status == Status::Sending;
    if may {
        row.status = Status::Uncertain;
    }
    may
}

/// Checks that [`close_pending`] matches.
pub fn may_close(row: &Row, owns: bool) -> bool {
    owns && row.status == Status::Pending
}

/// Models `close_pending`. Returns `true` if it matched.
pub fn close_pending(row: &mut Row, owns: bool) -> bool {
    let may = may_close(row, owns);
    if may {
        row.status = Status::Cancelled;
    }
    may
}

/// Models `expire_pending`: the schedule's end has passed before the row was sent, or sent again.
/// Returns `true` if it matched.
pub fn expire_pending(row: &mut Row, owns: bool) -> bool {
    let may = may_close(row, owns);
    if may {
        row.status = Status::Expired;
        row.ended = true;
    }
    may
}

/// A status that the carrier reported for a row.
#[derive(Clone, Copy, Debug)]
pub struct StatusUpdate {
    /// The attempt that the status is about.
    pub attempt: u8,
    /// The new status. PENDING means that the message never arrived.
    pub status: Status,
    /// The ids of the query or the receipt, for a row without ids.
    pub ids: u8,
}

/// Checks that the row is open: it has been sent and has no final status.
fn is_open(row: &Row) -> bool {
    matches!(
        row.status,
        Status::Acceptd | Status::Enroute | Status::Uncertain
    )
}

/// Checks that [`record_status_update`] matches. A status is a fact, so it needs the attempt only.
/// "Never arrived" also needs the token.
pub fn may_record_status_update(row: &Row, owns: bool, update: &StatusUpdate) -> bool {
    row.attempt == update.attempt
        && is_open(row)
        && (update.status != Status::Pending || (row.status == Status::Uncertain && owns))
}

/// Models `record_status_updates`. Returns `true` if it matched.
pub fn record_status_update(row: &mut Row, owns: bool, update: &StatusUpdate) -> bool {
    let may = may_record_status_update(row, owns, update);
    if may {
        row.ids = if row.ids == 0 { update.ids } else { row.ids };
        row.status = update.status;
    }
    may
}

/// Models `StatusesInPlace`, the statement by range that a pass tries before
/// [`record_status_update`]: it needs the token for each status. Returns `true` if it matched.
pub fn record_status_in_place(row: &mut Row, owns: bool, update: &StatusUpdate) -> bool {
    owns && record_status_update(row, owns, update)
}

/// Checks that [`record_receipt`] matches. A receipt is a status update that the carrier pushes. It
/// needs no token and never means "never arrived".
pub fn may_record_receipt(row: &Row, receipt: &StatusUpdate) -> bool {
    row.attempt == receipt.attempt
        && is_open(row)
        && (row.status, receipt.status) != (Status::Enroute, Status::Acceptd)
}

/// Models `record_receipts`. Returns `true` if it matched.
pub fn record_receipt(row: &mut Row, receipt: &StatusUpdate) -> bool {
    let may = may_record_receipt(row, receipt);
    if may {
        row.ids = if row.ids == 0 { receipt.ids } else { row.ids };
        row.status = receipt.status;
    }
    may
}

/// Models `record_late_receipts`, for an attempt that another attempt has followed. Returns `true`
/// if it matched.
pub fn record_late_receipt(row: &mut Row, receipt: &StatusUpdate) -> bool {
    let earlier = &mut row.earlier_attempts[usize::from(receipt.attempt)];
    let may = match earlier {
        Some(Status::Enroute) => receipt.status != Status::Acceptd,
        Some(status) => matches!(status, Status::Acceptd | Status::Uncertain),
        None => false,
    };
    if may {
        *earlier = Some(receipt.status);
    }
    may
}
