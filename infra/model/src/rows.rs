//! The database rows of the protocol, with the columns that a rule reads. A time is reduced to what
//! a rule can distinguish: due or not, ended or not.

use shared::message::status::Status;

/// The maximum number of recipients of a model.
pub const ROWS: usize = 3;
/// The attempts that a model distinguishes. States with a further attempt are out of bounds.
pub const ATTEMPTS: usize = 4;

/// A due time: `send_at`, `check_at` or `sweep_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    /// NULL.
    Never,
    /// In the past.
    Now,
    /// In the future.
    Later,
    /// `9999-01-01`: the `sweep_at` of a batch that waits for its turn. It is never reached.
    Unreachable,
}

impl Due {
    /// Checks that the column is not NULL.
    pub const fn is_set(self) -> bool {
        !matches!(self, Self::Never)
    }

    /// Models `LEAST`. NULL is later than any time.
    #[must_use]
    pub const fn least(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::Later, _) | (_, Self::Later) => Self::Later,
            (Self::Unreachable, _) | (_, Self::Unreachable) => Self::Unreachable,
            (Self::Never, Self::Never) => Self::Never,
        }
    }

    /// Models `COALESCE`.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match self {
            Self::Never => other,
            _ => self,
        }
    }
}

/// The time since the attempt was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Age {
    /// The attempt's request may be on the wire.
    Fresh,
    /// The quiet time has passed.
    PastQuietTime,
    /// The deadline has passed: the carrier no longer has the message's status.
    PastDeadline,
}

/// `schedules.status`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the values of the column")]
pub enum ScheduleStatus {
    Draft,
    Scheduled,
    Running,
    Finished,
    Paused,
    Cancelled,
    Missed,
}

impl ScheduleStatus {
    /// All statuses.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Scheduled,
        Self::Running,
        Self::Finished,
        Self::Paused,
        Self::Cancelled,
        Self::Missed,
    ];

    /// Returns the value in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
        }
    }
}

/// `schedules.held_after`, as a batch of the schedule reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// NULL.
    Nothing,
    /// The number of this batch, or of a later one: the batch is of the canary.
    Canary,
    /// The number of a batch before this one, which waits for the decision about the canary.
    Behind,
}

impl Hold {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Canary, Self::Behind];
}

/// A row of `schedules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// `status`
    pub status: ScheduleStatus,
    /// `batch_count` is set.
    pub cut: bool,
    /// It has a row in `turns`.
    pub turn: bool,
    /// `held_after`
    pub hold: Hold,
}

/// A row of `batches`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// `send_at`
    pub send_at: Due,
    /// `waiting`
    pub waiting: bool,
    /// `check_at`
    pub check_at: Due,
    /// `sweep_at`
    pub sweep_at: Due,
    /// `claim_token`: the number of its worker.
    pub token: Option<u8>,
    /// `claimed_until` has passed.
    pub lease_over: bool,
    /// `crashes`
    pub crashes: u8,
    /// `missed_at` is set.
    pub missed: bool,
}

/// A row of `recipients`, with its rows of `attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// `status`
    pub status: Status,
    /// `attempt`
    pub attempt: u8,
    /// `resends`
    pub resends: u8,
    /// The time since `sent_at`.
    pub age: Age,
    /// The flush that marked the attempt, as `sent_at` names it: that of this worker. `None`: another
    /// one.
    pub marked_by: Option<u8>,
    /// The parts whose ids are in `message_id`, as bits.
    pub ids: u8,
    /// `error` is `send-until`: the schedule's end came before the message was sent.
    pub ended: bool,
    /// `attempts.status`, indexed by attempt.
    pub earlier_attempts: [Option<Status>; ATTEMPTS + 2],
}

impl Row {
    /// A row after its insertion.
    pub const NEW: Self = Self {
        status: Status::Pending,
        attempt: 0,
        resends: 0,
        age: Age::Fresh,
        marked_by: None,
        ids: 0,
        ended: false,
        earlier_attempts: [None; ATTEMPTS + 2],
    };

    /// Returns the progress of the row: the attempt, and a rank within it. PENDING after an attempt
    /// ranks before the next attempt.
    pub const fn progress(&self) -> (u8, u8) {
        let rank = match self.status {
            Status::Pending => return (self.attempt + 1, 0),
            Status::Sending => 1,
            Status::Uncertain => 2,
            Status::Acceptd | Status::Enroute => 3,
            // A final status without an attempt, or after an attempt that was not accepted.
            Status::Cancelled | Status::Suppressed | Status::Rejectd => {
                return (self.attempt + 1, 4);
            }
            Status::Expired if self.ended => return (self.attempt + 1, 4),
            _ => 4,
        };
        (self.attempt, rank)
    }
}
