//! The delivery state of one recipient: SMPP's words (SMPP 3.4, section 5.2.28), and our own for what SMPP has no word for.
//! The same words stand in `recipients.status`, in the API and in the logs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where one recipient's message is. A state never goes back, and a final one stays, except that UNDELIV and EXPIRED may be
/// followed by another attempt.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Not sent yet, or certainly not accepted by the carrier.
    Pending,
    /// Marked: an HTTP request that carries it may be on its way.
    Sending,
    /// The carrier may or may not have accepted it: its answer was lost.
    Uncertain,
    /// Accepted by the carrier or its SMSC. Not final.
    Acceptd,
    /// On its way. Not final.
    Enroute,
    /// Delivered.
    Delivrd,
    /// Could not be delivered.
    Undeliv,
    /// Its validity period ended first.
    Expired,
    /// Deleted at the carrier.
    Deleted,
    /// Rejected by the carrier.
    Rejectd,
    /// The carrier no longer knows. Never sent again because of that.
    Unknown,
    /// The schedule was cancelled, or found too late, before it was sent.
    Cancelled,
    /// The number has opted out.
    Suppressed,
    /// Not a valid number; kept for the report.
    Invalid,
}

impl Status {
    /// Every state, in the order of the path.
    pub const ALL: [Self; 14] = [
        Self::Pending,
        Self::Sending,
        Self::Uncertain,
        Self::Acceptd,
        Self::Enroute,
        Self::Delivrd,
        Self::Undeliv,
        Self::Expired,
        Self::Deleted,
        Self::Rejectd,
        Self::Unknown,
        Self::Cancelled,
        Self::Suppressed,
        Self::Invalid,
    ];

    /// The word in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Sending => "SENDING",
            Self::Uncertain => "UNCERTAIN",
            Self::Acceptd => "ACCEPTD",
            Self::Enroute => "ENROUTE",
            Self::Delivrd => "DELIVRD",
            Self::Undeliv => "UNDELIV",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Rejectd => "REJECTD",
            Self::Unknown => "UNKNOWN",
            Self::Cancelled => "CANCELLED",
            Self::Suppressed => "SUPPRESSED",
            Self::Invalid => "INVALID",
        }
    }

    /// The state of that name, in upper case as the database has it.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether nothing more will happen by itself, a resend apart. The CHECK `recipient_final` has the same list.
    pub const fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Sending | Self::Uncertain | Self::Acceptd | Self::Enroute
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_word() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::json!(status), status.as_str());
        }
        assert_eq!(Status::parse("delivrd"), None);
    }
}
