//! The rows that the protocol is about, with the columns that a rule looks at. Times are what a rule can tell of them: due or not,
//! over or not.

use shared::message::status::Status;

/// Most recipients of a model.
pub const ROWS: usize = 3;
/// Attempts that a model tells apart; one more is out of its bounds.
pub const ATTEMPTS: usize = 4;

/// A due time: `send_at`, `check_at`, `sweep_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    /// NULL.
    Never,
    /// Passed.
    Now,
    /// To come.
    Later,
}

impl Due {
    /// Not NULL.
    pub const fn is_set(self) -> bool {
        !matches!(self, Self::Never)
    }
}

/// How long ago the attempt was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Age {
    /// Its request may be on the wire.
    Fresh,
    /// The quiet time is over.
    Quiet,
    /// The carrier's memory is over.
    Old,
}

/// `schedules.status`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of the column")]
pub enum Life {
    Draft,
    Scheduled,
    Running,
    Finished,
    Paused,
    Cancelled,
    Missed,
}

impl Life {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Scheduled,
        Self::Running,
        Self::Finished,
        Self::Paused,
        Self::Cancelled,
        Self::Missed,
    ];

    /// The word in the database.
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

/// A row of `schedules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// `status`
    pub status: Life,
    /// `batch_count` is set.
    pub cut: bool,
}

/// A row of `batches`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// `send_at`
    pub send_at: Due,
    /// `check_at`
    pub check_at: Due,
    /// `sweep_at`
    pub sweep_at: Due,
    /// `claim_token`: whose.
    pub token: Option<u8>,
    /// `claimed_until` has passed.
    pub lease_over: bool,
    /// `crashes`
    pub crashes: u8,
    /// `missed_at` is set.
    pub missed: bool,
}

/// A row of `recipients`, and what `attempts` has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// `status`
    pub status: Status,
    /// `attempt`
    pub attempt: u8,
    /// `resends`
    pub resends: u8,
    /// What `sent_at` says.
    pub age: Age,
    /// Parts whose ids are in `message_id`, as bits.
    pub ids: u8,
    /// `attempts.status`, by attempt.
    pub kept: [Option<Status>; ATTEMPTS + 2],
}

impl Row {
    /// As it is inserted.
    pub const NEW: Self = Self {
        status: Status::Pending,
        attempt: 0,
        resends: 0,
        age: Age::Fresh,
        ids: 0,
        kept: [None; ATTEMPTS + 2],
    };

    /// Where it is on its way: by attempt, and within it. PENDING after an attempt comes before the next one.
    pub const fn place(&self) -> (u8, u8) {
        let rank = match self.status {
            Status::Pending => return (self.attempt + 1, 0),
            Status::Sending => 1,
            Status::Uncertain => 2,
            Status::Acceptd | Status::Enroute => 3,
            // A final state without an attempt, or after one that was not accepted.
            Status::Cancelled | Status::Suppressed => return (self.attempt + 1, 4),
            _ => 4,
        };
        (self.attempt, rank)
    }
}
