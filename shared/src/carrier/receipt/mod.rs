//! Delivery receipts that a carrier pushes: what every format is read into, and what a format has to
//! provide.

pub mod signature;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::Value;

use self::signature::Signed;
use crate::message::status::Status;

/// The format and the signature of a carrier's receipts.
pub trait ReceiptFormat: Sync {
    /// Reads the headers that sign a call. The error states what was expected.
    ///
    /// No secret is needed yet: a call without a well-formed signature is refused before that.
    fn signature<'a>(
        &self,
        headers: &'a HeaderMap,
        now: DateTime<Utc>,
    ) -> Result<Signed<'a>, &'static str>;

    /// Reads the body of a call whose signature is valid.
    fn read(&self, body: &[u8]) -> Result<Receipts, UnreadableReceipts>;

    /// Returns the JSON schema of what [`Self::read`] takes, for the OpenAPI document.
    fn schema(&self) -> Value;

    /// Returns an example of a body, for the OpenAPI document.
    fn example(&self) -> Value;
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The carrier's id of the message, or of one of its parts.
    pub message_id: String,
    /// The phone number in E.164 with the plus sign.
    pub phone: String,
    /// The delivery state.
    pub status: Status,
    /// The carrier's own words for it: printable ASCII, at most 32 characters.
    pub carrier_status: String,
}

/// The content of a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Receipts {
    /// The receipts that can be read, in their order.
    pub receipts: Vec<Receipt>,
    /// The errors of the other entries.
    pub invalid: Vec<InvalidReceipt>,
}

/// An error in an entry of a body. No text repeats a value of the entry.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidReceipt {
    /// Index of the entry in the body, from 0.
    pub position: u32,
    /// The field; empty: the entry as a whole.
    pub field: &'static str,
    /// The error for programs; stable.
    pub code: &'static str,
    /// What was expected.
    pub detail: &'static str,
}

/// Why a body cannot be read at all.
#[derive(Debug, PartialEq, Eq)]
pub enum UnreadableReceipts {
    /// The body does not have the format; the text states what was expected.
    Malformed(String),
    /// The body holds more receipts than this.
    TooMany(usize),
}
