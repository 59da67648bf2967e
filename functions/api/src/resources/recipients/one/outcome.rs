//! What a call asks for a recipient, and what becomes of it.

use schemars::JsonSchema;
use serde::Serialize;
use shared::message::status::Status;

use super::{address::Address, edit::RecipientEdit, store::LockedRecipient};

/// What a call does to one recipient.
#[derive(Clone, Debug)]
pub struct Order {
    /// The recipient.
    pub address: Address,
    /// Its new values; `None`: it is cancelled.
    pub edit: Option<RecipientEdit>,
}

/// What became of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeOutcome {
    /// It is cancelled, by this call or an earlier one.
    Cancelled,
    /// It is changed.
    Changed,
    /// A request carries its message, or has carried it, or the message has ended.
    TooLate,
    /// Another recipient of the schedule has the new number; with `unique_by: reference`, the new
    /// reference, or a number that this recipient cannot have too.
    Duplicate,
    /// Several recipients of the schedule have the reference, or the number.
    Ambiguous,
    /// It is not in the schedule.
    NotFound,
    /// The time of the call was over before: repeat the call. Never of the only recipient of a call.
    NotReached,
}

/// What became of one recipient of a call.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct RecipientChange {
    /// Its place in the list; null if it is not in the schedule, or not the only one
    /// with the reference or the number.
    pub seq: Option<u32>,
    /// Whether the call was in time: the recipient is not sent to, or is sent to as changed.
    pub in_time: bool,
    /// The state of its message after the call; null if it is not known.
    pub status: Option<Status>,
    /// What became of it.
    pub outcome: ChangeOutcome,
}

impl RecipientChange {
    /// The recipient is not in the schedule.
    pub const NOT_FOUND: Self = Self {
        seq: None,
        in_time: false,
        status: None,
        outcome: ChangeOutcome::NotFound,
    };

    /// Several recipients have the reference, or the number.
    pub const AMBIGUOUS: Self = Self {
        outcome: ChangeOutcome::Ambiguous,
        ..Self::NOT_FOUND
    };

    /// Returns that the time of the call was over before the recipient at a place of the list.
    pub const fn not_reached(seq: u32) -> Self {
        Self {
            seq: Some(seq),
            outcome: ChangeOutcome::NotReached,
            ..Self::NOT_FOUND
        }
    }

    /// Returns what became of a locked recipient.
    pub const fn of(row: &LockedRecipient, in_time: bool, outcome: ChangeOutcome) -> Self {
        Self {
            seq: Some(row.seq),
            in_time,
            status: Some(row.status),
            outcome,
        }
    }
}
