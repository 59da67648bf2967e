//! Everything at one moment: the rows, the carrier, the workers, the queues.

use shared::message::status::Status;

use crate::database::{ATTEMPTS, Batch, ROWS, Row, Schedule};

/// Workers at once.
pub const WORKERS: usize = 2;
/// Message parts that a model tells apart.
pub const PARTS: u8 = 2;

/// What the carrier has, and what is on its way to it, for one recipient: bits by attempt and part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Carrier {
    /// On the wire.
    pub wire: u8,
    /// Accepted: the recipient gets it.
    pub accepted: u8,
    /// Turned away for certain: 429, or a text of 4xx.
    pub refused: u8,
    /// Parts that it called delivered, of whatever attempt.
    pub delivered: u8,
    /// Second and later sends that a verdict, the policy or a person allowed.
    pub allowed: u8,
}

/// The bit of a part of an attempt (from 1).
pub const fn bit(attempt: u8, part: u8) -> u8 {
    1 << ((attempt - 1) * PARTS + part)
}

/// All parts of an attempt, of a text of so many.
pub const fn parts_of(attempt: u8, parts: u8) -> u8 {
    if attempt == 0 {
        0
    } else {
        ((1 << parts) - 1) << ((attempt - 1) * PARTS)
    }
}

impl Carrier {
    /// Attempts of which it took at least a part.
    pub fn times_accepted(&self) -> u8 {
        (1..=ATTEMPTS as u8)
            .filter(|attempt| self.accepted & parts_of(*attempt, PARTS) != 0)
            .count() as u8
    }

    /// Whether it took a part of that attempt.
    pub const fn has(&self, attempt: u8) -> bool {
        self.accepted & parts_of(attempt, PARTS) != 0
    }
}

/// What a worker has to do with one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nothing.
    Rest,
    /// To be sent.
    Waiting,
    /// Marked; its request is about to start.
    Marked,
    /// Its request is under way.
    Flying,
    /// An answer, not recorded yet.
    Answered {
        /// What it makes of the row.
        status: Status,
        /// Ids, by part, for an acceptance.
        ids: u8,
        /// To be sent again in this pass.
        again: bool,
    },
    /// A mark to be taken back.
    Unmark,
    /// To be asked about.
    Ask,
    /// A verdict, not recorded yet.
    Said(Status),
    /// The carrier knows nothing of it; what that means is not decided yet.
    NotFound,
}

/// What a worker is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// No invocation.
    Idle,
    /// The claim has matched; nothing read yet.
    Claimed(Work),
    /// Read: cancelled, so what is PENDING is to be closed.
    Close,
    /// Read: too late, so what is PENDING is to be held.
    Hold,
    /// A send pass.
    Sending,
    /// A recheck pass.
    Asking,
}

/// What a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "plain")]
pub enum Work {
    Send,
    Check,
}

/// One invocation of send or recheck, with what it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Worker {
    /// What it is at.
    pub stage: Stage,
    /// Its lease is over; it was frozen, and is awake again.
    pub over: bool,
    /// Starts nothing more.
    pub stopped: bool,
    /// The schedule was running or paused when it was read: resends are allowed.
    pub alive: bool,
    /// What it has to do, by recipient.
    pub places: [Place; ROWS],
    /// `attempt` as it knows it.
    pub attempts: [u8; ROWS],
    /// `status` as it was read.
    pub seen: [Status; ROWS],
}

impl Worker {
    /// None.
    pub const IDLE: Self = Self {
        stage: Stage::Idle,
        over: false,
        stopped: false,
        alive: false,
        places: [Place::Rest; ROWS],
        attempts: [0; ROWS],
        seen: [Status::Pending; ROWS],
    };

    /// Takes up nothing more.
    pub fn stop(&mut self) {
        self.stopped = true;
        for place in &mut self.places {
            *place = if matches!(place, Place::Waiting) {
                Place::Rest
            } else {
                *place
            };
        }
    }

    /// Whether nothing is left but the release.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Sending | Stage::Asking)
            && self.places.iter().all(|place| *place == Place::Rest)
    }
}

/// What no state may do, noticed while it happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Noticed {
    /// A row went back.
    pub went_back: bool,
    /// A final row changed.
    pub final_changed: bool,
    /// An answer with ids for the row's attempt was not taken.
    pub answer_thrown_away: bool,
}

/// Everything.
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
    /// Later than `planned_at + max_lateness`.
    pub late: bool,
    /// The carrier.
    pub carrier: [Carrier; ROWS],
    /// The invocations.
    pub workers: [Worker; WORKERS],
    /// A message on the send queue, on the recheck queue.
    pub queued: [bool; 2],
    /// What people may still do.
    pub moves_left: u8,
    /// See there.
    pub noticed: Noticed,
}

impl World {
    /// Whether the batch is that worker's.
    pub fn owns(&self, worker: usize) -> bool {
        self.batch.token == Some(worker as u8)
    }

    /// Changes a row, and notices what may not be.
    pub fn change<T>(&mut self, at: usize, change: impl FnOnce(&mut Row, &Schedule) -> T) -> T {
        let before = self.rows[at];
        let result = change(&mut self.rows[at], &self.schedule);
        let after = &self.rows[at];
        if (before.status, before.attempt) != (after.status, after.attempt) {
            self.uncounted = true;
            self.noticed.went_back |= after.place() < before.place();
            let resent = after.attempt > before.attempt
                && matches!(before.status, Status::Undeliv | Status::Expired);
            self.noticed.final_changed |= before.status.is_final() && !resent;
        }
        result
    }
}
