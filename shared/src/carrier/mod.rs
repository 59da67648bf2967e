//! The seam to the carrier: numbers and a text go out, message ids come back; later ids go out and a status comes back. One
//! adapter so far, [`Alaris`]. Nothing here retries: what an answer means for a recipient is said by [`SendError`] and decided by
//! the callers. No reason and no error holds a number, a text, a URL or a password.

mod alaris;
mod join;
mod reply;
mod source;
mod status_answer;
mod submit_answer;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;

pub use crate::carrier::{
    alaris::{Alaris, CarrierConfig, Form},
    source::Source,
    status_answer::read_word,
};
use crate::message::status::Status;

/// A carrier's HTTP API.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Makes one request: the same text to every number. The answer has, for each number in the order given, the carrier's ids
    /// joined by commas (one for each part), or none if the answer did not name the number: it may or may not have been accepted.
    async fn submit(&self, submit: Submit<'_>) -> Result<Vec<Option<String>>, SendError>;

    /// Asks for the status of one message; several ids, joined by commas, are its parts.
    async fn status(&self, ids: &str) -> Result<Answer, StatusError>;

    /// Most numbers in one request.
    fn max_numbers(&self) -> usize;

    /// Whether [`Submit::own_id`] reaches the carrier, so that [`own_ids`] can be asked for after a lost answer.
    fn can_ask_own_id(&self) -> bool;
}

/// One request to send.
#[derive(Clone, Copy)]
pub struct Submit<'a> {
    /// In E.164, each once, at most [`Carrier::max_numbers`].
    pub numbers: &'a [&'a str],
    /// The text.
    pub text: &'a str,
    /// What the recipient sees as the sender; the carrier's default if none.
    pub sender: Option<&'a str>,
    /// Our id for the message; only with a single number, and only where [`Carrier::can_ask_own_id`].
    pub own_id: Option<&'a str>,
    /// In how many parts the text travels ([`crate::message::text::parts`]).
    pub parts: usize,
}

/// What the carrier knows of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status.
    Status {
        /// As a state of ours. UNKNOWN is given as it is: whether it counts yet is a matter of the deadline.
        status: Status,
        /// In the carrier's words: printable ASCII, at most 32 characters.
        raw: String,
    },
    /// The carrier says explicitly that it has no such message.
    NotFound,
}

/// How a request to send can fail. The one question that matters is [`SendError::certainly_not_accepted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// No connection, or 429: nothing was accepted, and later it may well be.
    NotAccepted {
        /// Why.
        reason: String,
        /// How long the carrier asked to wait.
        retry_after: Option<Duration>,
    },
    /// The carrier refused the request as a whole: nothing was accepted.
    Refused {
        /// Why.
        reason: String,
    },
    /// The carrier does not accept the credentials: nothing was accepted, nor will be.
    Unauthorized {
        /// Why.
        reason: String,
    },
    /// The request may have been accepted: it went out, and no usable answer came back.
    Lost {
        /// Why.
        reason: String,
    },
}

/// How a question for a status can fail; asking again does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusError {
    /// 429: too many questions.
    Busy {
        /// Why.
        reason: String,
        /// How long the carrier asked to wait.
        retry_after: Option<Duration>,
    },
    /// No connection, no answer, or none that can be read.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What an id of ours, or of a part of such a message, says: the text that [`own_ids`] made of `BatchRow::own_id`, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnId {
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// `recipients.seq`
    pub seq: u32,
    /// `recipients.attempt`
    pub attempt: u32,
    /// Which part of a message of several, from 1.
    pub part: Option<u32>,
}

impl OwnId {
    /// Reads it; `None`: no id of ours.
    pub fn read(id: &str) -> Option<Self> {
        let mut fields = id.split('-');
        let schedule_id = Uuid::try_parse(fields.next()?).ok()?;
        let (seq, attempt) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let part = fields.next().map(str::parse).transpose().ok()?;
        let own = Self {
            schedule_id,
            seq,
            attempt,
            part,
        };
        // Only as we write it: no upper case, no zeros in front, nothing behind.
        (own.to_string() == id).then_some(own)
    }
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}",
            self.schedule_id.simple(),
            self.seq,
            self.attempt
        )?;
        self.part.map_or(Ok(()), |part| write!(f, "-{part}"))
    }
}

/// The ids that a message with an own id has at the carrier, in the form that [`Carrier::status`] takes.
pub fn own_ids(own_id: &str, parts: usize) -> String {
    if parts <= 1 {
        return own_id.to_owned();
    }
    (1..=parts)
        .map(|part| format!("{own_id}-{part}"))
        .collect::<Vec<_>>()
        .join(",")
}

impl SendError {
    /// Whether the same request may simply be made again. If not, sending again may deliver the text twice.
    pub const fn certainly_not_accepted(&self) -> bool {
        !matches!(self, Self::Lost { .. })
    }

    /// Why, in at most 64 printable characters.
    pub fn reason(&self) -> &str {
        match self {
            Self::NotAccepted { reason, .. }
            | Self::Refused { reason }
            | Self::Unauthorized { reason }
            | Self::Lost { reason } => reason,
        }
    }

    /// How long the carrier asked to wait.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotAccepted { retry_after, .. } => *retry_after,
            Self::Refused { .. } | Self::Unauthorized { .. } | Self::Lost { .. } => None,
        }
    }
}

impl StatusError {
    /// Why, in at most 64 printable characters.
    pub fn reason(&self) -> &str {
        match self {
            Self::Busy { reason, .. } | Self::Failed { reason } => reason,
        }
    }

    /// How long the carrier asked to wait.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Failed { .. } => None,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::NotAccepted { .. } => "not accepted",
            Self::Refused { .. } => "refused",
            Self::Unauthorized { .. } => "unauthorized",
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
