//! The priority of a schedule at the carrier.

use schemars::JsonSchema;
use serde::Serialize;

/// The priority of a schedule, the column `schedules.priority`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, sqlx::Type,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum Priority {
    /// Sent before every other schedule.
    High,
    /// Shares the carrier's capacity equally with other normal schedules.
    #[default]
    Normal,
    /// Gets what normal schedules leave, and at least a tenth.
    Bulk,
}

impl Priority {
    /// Each priority, the most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Bulk];

    /// Returns the value in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}
