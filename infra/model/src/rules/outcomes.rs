//! `recipients`, as the workers write them.

use shared::{batch::rows::Step, message::status::Status};

use crate::database::{Age, Life, Row, Schedule};

/// One row of a flush.
#[derive(Clone, Copy, Debug)]
pub struct Flush {
    /// What is done.
    pub step: Step,
    /// The attempt that the row has to have.
    pub attempt: u8,
    /// The new state.
    pub status: Status,
    /// A mark that counts as a resend.
    pub resend: bool,
    /// Ids that came with an answer.
    pub ids: u8,
}

/// UNDELIV and EXPIRED: final, and yet sent again where the policy says so.
pub const fn may_be_sent_again(status: Status) -> bool {
    matches!(
        status,
        Status::Undeliv | Status::Expired | Status::Uncertain
    )
}

/// Before a request: the token, a running schedule, the attempt.
pub fn may_mark(row: &Row, schedule: &Schedule, owns: bool, attempt: u8) -> bool {
    let markable = row.status == Status::Pending || may_be_sent_again(row.status);
    row.attempt == attempt && owns && schedule.status == Life::Running && markable
}

/// A fact: the attempt alone.
pub fn may_answer(row: &Row, attempt: u8) -> bool {
    row.attempt == attempt && matches!(row.status, Status::Sending | Status::Uncertain)
}

/// A final state without a request.
pub fn may_skip(row: &Row, owns: bool, attempt: u8) -> bool {
    row.attempt == attempt && owns && row.status == Status::Pending
}

/// A mark that led to no request.
pub fn may_unmark(row: &Row, owns: bool, attempt: u8) -> bool {
    row.attempt == attempt && owns && row.status == Status::Sending
}

/// `flush`. True: the row matched.
pub fn flush(row: &mut Row, schedule: &Schedule, owns: bool, said: &Flush) -> bool {
    let may = match said.step {
        Step::Mark => may_mark(row, schedule, owns, said.attempt),
        Step::Answer => may_answer(row, said.attempt),
        Step::Skip => may_skip(row, owns, said.attempt),
        Step::Unmark => may_unmark(row, owns, said.attempt),
    };
    if may {
        let mark = said.step == Step::Mark;
        row.resends += u8::from(said.resend);
        row.attempt += u8::from(mark);
        row.age = if mark { Age::Fresh } else { row.age };
        row.ids = said.ids;
        row.status = said.status;
    }
    may
}

/// `keep_attempts`, for a mark: the attempt that it overwrites is copied.
pub fn keep(row: &mut Row, schedule: &Schedule, owns: bool, attempt: u8) {
    if may_be_sent_again(row.status)
        && row.attempt == attempt
        && owns
        && schedule.status == Life::Running
    {
        row.kept[usize::from(attempt)] = Some(row.status);
    }
}

/// `record_late_answers`: ids for an attempt that another has followed.
pub fn late_answer(row: &mut Row, said: &Flush) {
    if said.step == Step::Answer
        && said.ids != 0
        && row.kept[usize::from(said.attempt)] == Some(Status::Uncertain)
    {
        row.kept[usize::from(said.attempt)] = Some(said.status);
    }
}

/// `mark_owner_lost`
pub fn owner_lost(row: &mut Row, owns: bool) -> bool {
    let may = owns && row.status == Status::Sending;
    if may {
        row.status = Status::Uncertain;
    }
    may
}

/// Whether [`close`] matches.
pub fn may_close(row: &Row, owns: bool) -> bool {
    owns && row.status == Status::Pending
}

/// `close_pending`
pub fn close(row: &mut Row, owns: bool) -> bool {
    let may = may_close(row, owns);
    if may {
        row.status = Status::Cancelled;
    }
    may
}

/// What the carrier said of a row.
#[derive(Clone, Copy, Debug)]
pub struct StatusUpdate {
    /// The attempt that was asked about.
    pub attempt: u8,
    /// The new state; PENDING: never arrived.
    pub status: Status,
    /// The ids it was asked by, for a row that had none.
    pub ids: u8,
}

/// A fact as well, but "never arrived" needs the token.
pub fn may_write_verdict(row: &Row, owns: bool, said: &StatusUpdate) -> bool {
    row.attempt == said.attempt
        && matches!(
            row.status,
            Status::Acceptd | Status::Enroute | Status::Uncertain
        )
        && (said.status != Status::Pending || (row.status == Status::Uncertain && owns))
}

/// `record_status_updates`
pub fn verdict(row: &mut Row, owns: bool, said: &StatusUpdate) -> bool {
    let may = may_write_verdict(row, owns, said);
    if may {
        row.ids = if row.ids == 0 { said.ids } else { row.ids };
        row.status = said.status;
    }
    may
}

/// `record_receipts`: a verdict that a carrier pushes. Nobody's token is asked for, and it is never "never arrived".
pub fn may_write_receipt(row: &Row, said: &StatusUpdate) -> bool {
    row.attempt == said.attempt
        && matches!(
            row.status,
            Status::Acceptd | Status::Enroute | Status::Uncertain
        )
        && (row.status, said.status) != (Status::Enroute, Status::Acceptd)
}

/// `record_receipts`
pub fn receipt(row: &mut Row, said: &StatusUpdate) -> bool {
    let may = may_write_receipt(row, said);
    if may {
        row.ids = if row.ids == 0 { said.ids } else { row.ids };
        row.status = said.status;
    }
    may
}

/// `record_late_receipts`: for an attempt that another has followed.
pub fn late_receipt(row: &mut Row, said: &StatusUpdate) -> bool {
    let kept = &mut row.kept[usize::from(said.attempt)];
    let may = match kept {
        Some(Status::Enroute) => said.status != Status::Acceptd,
        Some(status) => matches!(status, Status::Acceptd | Status::Uncertain),
        None => false,
    };
    if may {
        *kept = Some(said.status);
    }
    may
}
