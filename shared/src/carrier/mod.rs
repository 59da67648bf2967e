//! The carrier's HTTP API: numbers and a text go out, message ids come back; later ids go out and a
//! status comes back.
//!
//! Each carrier has a folder, an *adapter*, that defines everything about it: how many numbers fit
//! in a request, whether it takes own ids, what its answers and statuses mean, and the format and
//! the signature of its receipts. [`registry`] lists the adapters; the rest of the code uses only
//! the trait [`Carrier`] and the description [`Adapter`]. [`http`] is the HTTP client that adapters
//! share.
//!
//! An adapter never retries. [`SendError`] classifies a failed request; the callers decide its
//! effect on the recipients. No reason and no error contains a phone number, a text, a URL or a
//! password.

pub mod alaris;
pub mod capacity;
mod http;
mod own_id;
mod parts;
pub mod receipt;
pub mod registry;
mod rotation;

use std::{fmt, time::Duration};

use async_trait::async_trait;

pub use self::{
    own_id::{OwnId, own_ids},
    registry::{Adapter, CarrierSettings, Login},
};
use crate::message::status::Status;

/// A carrier's HTTP API.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Makes one request that sends the same text to every number.
    ///
    /// Returns, for each number in the order given, the carrier's ids joined by commas (one id per
    /// part), or `None` if the answer did not name the number: it may or may not be accepted.
    async fn submit(&self, submit: Submit<'_>) -> Result<Vec<Option<String>>, SendError>;

    /// Asks for the status of one message. Several ids, joined by commas, are its parts.
    async fn status(&self, ids: &str) -> Result<StatusAnswer, StatusError>;

    /// Returns the largest number of phone numbers in one request.
    fn max_numbers(&self) -> usize;

    /// Returns whether [`Submit::own_id`] reaches the carrier, so that the status of [`own_ids`] can
    /// be asked for after a lost answer.
    fn can_ask_own_id(&self) -> bool;
}

/// One request to send.
#[derive(Clone, Copy)]
pub struct Submit<'a> {
    /// Phone numbers in E.164, each once, at most [`Carrier::max_numbers`].
    pub numbers: &'a [&'a str],
    /// The text.
    pub text: &'a str,
    /// The sender address that the recipient sees; `None`: the carrier's default.
    pub sender: Option<&'a str>,
    /// Our id for the message; only with a single number, and only if [`Carrier::can_ask_own_id`].
    pub own_id: Option<&'a str>,
    /// Number of parts of the text ([`crate::message::text::parts`]).
    pub parts: usize,
}

/// The carrier's answer to a status query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusAnswer {
    /// A status.
    Status {
        /// The delivery state. UNKNOWN is passed on as it is: whether it counts depends on the
        /// deadline.
        status: Status,
        /// The carrier's own words: printable ASCII, at most 32 characters.
        raw: String,
    },
    /// The carrier states explicitly that it has no such message.
    NotFound,
}

/// The ways in which a request to send can fail. [`SendError::certainly_not_accepted`] separates
/// those that may be repeated from those that may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// No connection: nothing was accepted; a later request may be.
    NotAccepted {
        /// The reason.
        reason: String,
    },
    /// 429, the carrier's limit is exceeded: nothing was accepted; a later request may be.
    Busy {
        /// The reason.
        reason: String,
        /// How long the carrier asked to wait.
        retry_after: Option<Duration>,
    },
    /// The carrier refused the request as a whole: nothing was accepted.
    Refused {
        /// The reason.
        reason: String,
    },
    /// The carrier refuses the account (its login, credit or permissions): nothing was accepted, and
    /// every other request would be refused too.
    AccountRefused {
        /// The reason.
        reason: String,
    },
    /// The request may have been accepted: it was sent, and no usable answer came back.
    Lost {
        /// The reason.
        reason: String,
    },
}

/// The ways in which a status query can fail. A query can always be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusError {
    /// 429: too many queries.
    Busy {
        /// The reason.
        reason: String,
        /// How long the carrier asked to wait.
        retry_after: Option<Duration>,
    },
    /// The carrier refuses the account: its login, or a permission.
    AccountRefused {
        /// The reason.
        reason: String,
    },
    /// No connection, no answer, or an answer that cannot be read.
    Failed {
        /// The reason.
        reason: String,
    },
}

impl SendError {
    /// Returns whether the same request can be repeated. If not, sending again may deliver the text
    /// twice.
    pub const fn certainly_not_accepted(&self) -> bool {
        !matches!(self, Self::Lost { .. })
    }

    /// Returns the reason, at most 64 printable characters.
    pub fn reason(&self) -> &str {
        match self {
            Self::NotAccepted { reason }
            | Self::Busy { reason, .. }
            | Self::Refused { reason }
            | Self::AccountRefused { reason }
            | Self::Lost { reason } => reason,
        }
    }

    /// Returns how long the carrier asked to wait.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::NotAccepted { .. }
            | Self::Refused { .. }
            | Self::AccountRefused { .. }
            | Self::Lost { .. } => None,
        }
    }
}

impl StatusError {
    /// Returns the reason, at most 64 printable characters.
    pub fn reason(&self) -> &str {
        match self {
            Self::Busy { reason, .. }
            | Self::AccountRefused { reason }
            | Self::Failed { reason } => reason,
        }
    }

    /// Returns how long the carrier asked to wait.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::AccountRefused { .. } | Self::Failed { .. } => None,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::NotAccepted { .. } => "not accepted",
            Self::Busy { .. } => "busy",
            Self::Refused { .. } => "refused",
            Self::AccountRefused { .. } => "account refused",
            Self::Lost { .. } => "answer lost",
        };
        write!(f, "{kind}: {}", self.reason())
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for SendError {}
impl std::error::Error for StatusError {}
