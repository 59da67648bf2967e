//! The states of a schedule.

use schemars::JsonSchema;
use serde::Serialize;

/// The status of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum ScheduleStatus {
    /// Recipients are appended, nothing is sent.
    Draft,
    /// Waits until a second person approves its text, its times and its list.
    #[serde(rename = "awaiting-approval")]
    #[sqlx(rename = "awaiting-approval")]
    AwaitingApproval,
    /// Waits for its time to run.
    Scheduled,
    /// Cut into batches, which are sent and checked.
    Running,
    /// Each message has its last status; nothing more happens without an operator or a late answer.
    Finished,
    /// Stopped for now: nothing more is sent; sent messages are still checked.
    Paused,
    /// Stopped permanently.
    Cancelled,
    /// Found too late: the messages that were not sent wait for an operator.
    Missed,
}

impl ScheduleStatus {
    /// Each status, in the order of a schedule's life.
    pub const ALL: [Self; 8] = [
        Self::Draft,
        Self::AwaitingApproval,
        Self::Scheduled,
        Self::Running,
        Self::Finished,
        Self::Paused,
        Self::Cancelled,
        Self::Missed,
    ];

    /// Returns the value in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
        }
    }
}
