//! The states of a schedule.

use schemars::JsonSchema;
use serde::Serialize;

/// Where a schedule is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum ScheduleStatus {
    /// Being put together: recipients are appended, nothing is sent.
    Draft,
    /// Waits for its time.
    Scheduled,
    /// Cut into batches, which are sent and checked.
    Running,
    /// Nothing more will happen by itself.
    Finished,
    /// Stopped for now: nothing new is sent, what was sent is still checked.
    Paused,
    /// Stopped for good.
    Cancelled,
    /// Found too late: what was not sent waits for a person.
    Missed,
}

impl ScheduleStatus {
    /// Every state, in the order of life.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Scheduled,
        Self::Running,
        Self::Finished,
        Self::Paused,
        Self::Cancelled,
        Self::Missed,
    ];

    /// The word in the database and the API.
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
