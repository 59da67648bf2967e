//! The delivery status of one recipient: the values of SMPP (SMPP 3.4, section 5.2.28), and further
//! values for what SMPP does not name. `recipients.status`, the API and the logs use the same
//! values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The delivery status of one recipient. A status never goes back, and a final status stays, except
/// that UNDELIV and EXPIRED may be followed by another attempt.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Not sent yet, or certainly not accepted by the carrier.
    Pending,
    /// Marked: an HTTP request with the message may be in flight.
    Sending,
    /// The carrier may or may not have accepted the message: its answer was lost.
    Uncertain,
    /// Accepted by the carrier or its SMSC. Not final.
    Acceptd,
    /// On its way. Not final.
    Enroute,
    /// Delivered.
    Delivrd,
    /// Could not be delivered.
    Undeliv,
    /// Its validity period ended before the delivery.
    Expired,
    /// Deleted at the carrier.
    Deleted,
    /// Rejected by the carrier.
    Rejectd,
    /// The carrier does not know the outcome any more. Never sent again because of it.
    Unknown,
    /// The schedule was cancelled, or found too late, before it was sent.
    Cancelled,
    /// The number is suppressed.
    Suppressed,
    /// Not a valid number; kept for the report.
    Invalid,
}

impl Status {
    /// Each status, in the order of a message's path.
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

    /// Returns the value in the database and the API.
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

    /// Returns the status with that value, in upper case as in the database.
    pub fn parse(value: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == value)
    }

    /// Whether nothing more happens without an action, except a resend. The CHECK `recipient_final`
    /// has the same list.
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
    fn each_status_is_parsed_from_its_value() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::json!(status), status.as_str());
        }
        assert_eq!(Status::parse("delivrd"), None);
    }
}
