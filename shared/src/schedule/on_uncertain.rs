//! The policy for messages whose answer was lost.

use serde::Serialize;

/// The policy of a schedule for its UNCERTAIN messages, the column `schedules.on_uncertain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum OnUncertain {
    /// The message waits until an operator resolves it.
    Hold,
    /// The message is sent again after the quiet time, unless the carrier can be asked about it.
    Resend,
}

impl OnUncertain {
    /// Each policy; the first is the default.
    pub const ALL: [Self; 2] = [Self::Hold, Self::Resend];

    /// Returns the value in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Resend => "resend",
        }
    }
}
