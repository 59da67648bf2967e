//! The complete state: the rows, the carrier, the workers and the queues.

use shared::message::status::Status;

use crate::rows::{ATTEMPTS, Batch, ROWS, Row, Schedule};

/// Concurrent workers.
pub const WORKERS: usize = 2;
/// Message parts that a model distinguishes.
pub const PARTS: u8 = 2;

/// What the carrier has received for one recipient, and what is on its way to it. Each field but
/// `delivered` and the last six is a set of bits, indexed by attempt and part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct CarrierState {
    /// On the wire.
    pub on_wire: u8,
    /// Accepted: the recipient gets it.
    pub accepted: u8,
    /// Certainly not accepted: 429, or a text of 4xx.
    pub refused: u8,
    /// Parts with the status DELIVRD, in any attempt.
    pub delivered: u8,
    /// Not sent to the recipient, although an id is issued: the request carried its number twice.
    pub swallowed: u8,
    /// Repeated sends that a status update, the policy or an operator allowed.
    pub allowed_resends: u8,
    /// The last refusal concerned the account, not the number.
    pub account_refused: bool,
    /// The row has ended EXPIRED because of the schedule's end.
    pub has_expired: bool,
    /// A caller has cancelled the row, and was told that it was in time.
    pub is_cancelled: bool,
    /// A caller has changed the row, and was told that it was in time.
    pub is_changed: bool,
    /// A request of the row's attempt has started, or the process that marked it has crashed.
    pub may_have_sent: bool,
}

/// Returns the bit of a part of an attempt (from 1).
pub const fn bit(attempt: u8, part: u8) -> u8 {
    1 << ((attempt - 1) * PARTS + part)
}

/// Returns the bits of all parts of an attempt, for a text of `parts` parts.
pub const fn parts_of(attempt: u8, parts: u8) -> u8 {
    if attempt == 0 {
        0
    } else {
        ((1 << parts) - 1) << ((attempt - 1) * PARTS)
    }
}

impl CarrierState {
    /// Returns the number of attempts of which at least one part was accepted.
    pub fn times_accepted(&self) -> u8 {
        (1..=ATTEMPTS as u8)
            .filter(|attempt| self.has_accepted(*attempt))
            .count() as u8
    }

    /// Checks that a part of the attempt was accepted.
    pub const fn has_accepted(&self, attempt: u8) -> bool {
        self.accepted & parts_of(attempt, PARTS) != 0
    }
}

/// The next step of a worker for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Nothing to do.
    None,
    /// To be sent.
    Waiting,
    /// Marked. The request is about to start.
    Marked,
    /// The request is in flight.
    InFlight,
    /// The request has an answer that is not recorded yet.
    Answered {
        /// The new status of the row.
        status: Status,
        /// The parts with ids, if the answer is an acceptance.
        ids: u8,
        /// The recipient is sent again in this pass.
        retry: bool,
        /// The request was refused and carried no other recipient.
        alone: bool,
    },
    /// The request was refused and carried no other recipient. Decided at the end of the pass.
    RefusedAlone,
    /// A mark to be removed.
    Unmark,
    /// To be queried.
    Query,
    /// A status update that is not recorded yet.
    RecordStatus(Status),
    /// The carrier has no such message. The consequence is not decided yet.
    NotFound,
}

/// The stage of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// There is no invocation.
    Idle,
    /// The claim has matched. Nothing has been read yet.
    Claimed(Work),
    /// The rows are read and the schedule is cancelled: PENDING rows will be closed.
    Close,
    /// The rows are read and the schedule's end has passed: PENDING rows will expire.
    Expire,
    /// The rows are read and it is too late: rows that were never sent will be held.
    Hold,
    /// A send pass.
    Sending,
    /// A recheck pass.
    Rechecking,
}

/// The purpose of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// A send pass.
    Send,
    /// A recheck pass.
    Check,
}

/// One invocation of send or recheck, with the data that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Worker {
    /// Its stage.
    pub stage: Stage,
    /// Its lease has ended: it was frozen and has continued.
    pub lease_over: bool,
    /// It starts no further request.
    pub stopped: bool,
    /// The schedule was running or paused when it was read, and its end had not passed.
    pub allows_resends: bool,
    /// The carrier accepted a request of this pass. Only set if it also refuses requests.
    pub accepted: bool,
    /// Its task for each recipient.
    pub tasks: [Task; ROWS],
    /// `attempt`, as read or as marked by this worker.
    pub attempts: [u8; ROWS],
    /// `status`, as read.
    pub read_status: [Status; ROWS],
    /// The row had been changed when it was read.
    pub read_change: [bool; ROWS],
}

impl Worker {
    /// No invocation.
    pub const IDLE: Self = Self {
        stage: Stage::Idle,
        lease_over: false,
        stopped: false,
        allows_resends: false,
        accepted: false,
        tasks: [Task::None; ROWS],
        attempts: [0; ROWS],
        read_status: [Status::Pending; ROWS],
        read_change: [false; ROWS],
    };

    /// Drops the recipients that are still waiting.
    pub fn stop(&mut self) {
        self.stopped = true;
        for task in &mut self.tasks {
            *task = if matches!(task, Task::Waiting) {
                Task::None
            } else {
                *task
            };
        }
    }

    /// Checks that only the decision about recipients that were refused alone remains to be made.
    pub fn has_only_refused(&self) -> bool {
        self.stage == Stage::Sending
            && self.tasks.contains(&Task::RefusedAlone)
            && self
                .tasks
                .iter()
                .all(|task| matches!(task, Task::None | Task::RefusedAlone))
    }

    /// Checks that only the release remains to be done.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Sending | Stage::Rechecking)
            && self.tasks.iter().all(|task| *task == Task::None)
    }
}

/// Violations that are visible only in a transition, recorded when they occur.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct TransitionViolations {
    /// The progress of a row decreased.
    pub went_back: bool,
    /// A final row changed.
    pub final_changed: bool,
    /// An answer with ids for the row's attempt was not recorded.
    pub answer_discarded: bool,
    /// A request started after the schedule's end.
    pub sent_after_end: bool,
    /// A request started for a row that had ended EXPIRED because of the schedule's end.
    pub sent_after_expiry: bool,
    /// A request started for a row that a caller had cancelled in time.
    pub sent_after_cancel: bool,
    /// A request started with what a row had contained before a caller changed it in time.
    pub sent_unchanged: bool,
    /// A row became REJECTD in a pass in which the carrier accepted nothing, or because the carrier
    /// refused the whole account.
    pub rejected_wrongly: bool,
}

/// The schedule's end (`send_until`) relative to the current time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It has not passed.
    Ahead,
    /// It has passed.
    Passed,
    /// It had passed, and an operator has moved it to a later time.
    Moved,
}

/// The complete state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// `schedules`
    pub schedule: Schedule,
    /// `batches`
    pub batch: Batch,
    /// `recipients`
    pub rows: [Row; ROWS],
    /// Rows have changed since the counts were taken.
    pub uncounted: bool,
    /// `planned_at + max_lateness` has passed.
    pub late: bool,
    /// The schedule's end (`send_until`).
    pub end: End,
    /// The carrier, per recipient.
    pub carrier: [CarrierState; ROWS],
    /// The invocations.
    pub workers: [Worker; WORKERS],
    /// A message is in the send queue, and in the recheck queue. Indexed by [`Work`].
    pub queued: [bool; 2],
    /// The brake is set.
    pub stopped: bool,
    /// The transaction of an admission has read whether the batch waits.
    pub admission: Option<bool>,
    /// The pauses, resumes and cancels that an operator may still make.
    pub moves_left: u8,
    /// The violations so far.
    pub violations: TransitionViolations,
}

impl World {
    /// Checks that the worker's claim owns the batch.
    pub fn owns(&self, worker: usize) -> bool {
        self.batch.token == Some(worker as u8)
    }

    /// Ends an invocation in the middle of its work. Nobody knows which of the requests that it has
    /// marked it has started, and with which answers.
    pub fn crash(&mut self, worker: usize) {
        let state = self.workers[worker];
        for recipient in 0..ROWS {
            let is_marked = matches!(
                state.tasks[recipient],
                Task::Marked | Task::Unmark | Task::Answered { .. }
            ) && state.attempts[recipient] == self.rows[recipient].attempt;
            self.carrier[recipient].may_have_sent |= is_marked;
        }
        self.workers[worker] = Worker::IDLE;
    }

    /// Forgets what no step reads any more: who marked a row, once no unmark of it can come or could
    /// match, and whether its request has started, once that is plain from its status. So fewer states
    /// differ.
    pub fn forget_marks(&mut self) {
        for (row, carrier) in self.rows.iter_mut().zip(&mut self.carrier) {
            let is_open = matches!(row.status, Status::Sending | Status::Uncertain);
            let is_idle = |by: u8| self.workers[usize::from(by)] == Worker::IDLE;
            if !is_open || row.marked_by.is_some_and(is_idle) {
                row.marked_by = None;
            }
            carrier.may_have_sent &= is_open;
        }
    }

    /// Changes a row and records violations.
    pub fn change_row<T>(
        &mut self,
        recipient: usize,
        change: impl FnOnce(&mut Row, &Schedule) -> T,
    ) -> T {
        let before = self.rows[recipient];
        let result = change(&mut self.rows[recipient], &self.schedule);
        let after = &self.rows[recipient];
        if (before.status, before.attempt) != (after.status, after.attempt) {
            self.uncounted = true;
            self.carrier[recipient].may_have_sent &= before.attempt == after.attempt;
            self.violations.went_back |= after.progress() < before.progress();
            let resent = after.attempt > before.attempt
                && matches!(before.status, Status::Undeliv | Status::Expired);
            self.violations.final_changed |= before.status.is_final() && !resent;
        }
        result
    }
}
