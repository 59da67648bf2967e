//! The input of the proof: the database's rows of one schedule and the carrier's ledger, both in a
//! compact form. A million recipients take about 150 MB.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use shared::message::status::Status;

/// The digits of a phone number, without the plus sign; 0 for a row without a number.
pub type Phone = u64;

/// Returns the digits of a phone number; none if it has other characters than digits and a leading
/// plus sign.
pub fn phone(text: &str) -> Option<Phone> {
    text.trim().trim_start_matches('+').parse().ok()
}

/// A hashed message id. A hash is sufficient because an id is only compared with the few ids of the
/// same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(u64);

impl MessageId {
    /// Hashes the text of an id.
    pub fn new(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.trim().hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns the ids of a column, which are separated by commas.
    pub fn list(column: Option<&str>) -> Box<[Self]> {
        column
            .into_iter()
            .flat_map(|ids| ids.split(','))
            .filter(|id| !id.trim().is_empty())
            .map(Self::new)
            .collect()
    }
}

/// A row of `recipients`, or of `attempts`. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Row {
    /// The position in the list.
    pub seq: u32,
    /// The recipient's number.
    pub phone: Phone,
    /// The number of the attempt; 0: never sent.
    pub attempt: u32,
    /// Whether it is a row of `attempts`, which a later attempt has followed.
    pub earlier: bool,
    /// The final or current status.
    pub status: Status,
    /// `recipients.resends`; 0 in `attempts`.
    pub resends: u32,
    /// The carrier's ids: one per part that the carrier is known to have accepted.
    pub ids: Box<[MessageId]>,
    /// When the message was sent.
    pub sent_ms: Option<i64>,
    /// When the status became final.
    pub final_ms: Option<i64>,
}

/// The result of comparing a ledger's text with the schedule's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The ledger has no text.
    Unknown,
    /// The schedule's text or a part of it; the value is its length in characters.
    Ours(u32),
    /// Another text.
    Other,
}

/// An acceptance in the ledger.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The recipient's number.
    pub phone: Phone,
    /// The id that the carrier assigned.
    pub id: MessageId,
    /// The time of the acceptance; if the ledger has whole seconds, the latest possible moment.
    pub at_ms: Option<i64>,
    /// The text.
    pub text: Text,
}

/// The database's evidence of one schedule.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its rows, sorted by seq and attempt; the last row of a seq is the one from `recipients`.
    pub rows: Vec<Row>,
    /// `schedules.run_at`
    pub run_at_ms: i64,
    /// `schedules.created_at`: earlier acceptances belong to other schedules.
    pub created_ms: i64,
    /// Whether its policy resends UNCERTAIN messages.
    pub resends_uncertain: bool,
    /// The number of parts of the text.
    pub parts: u32,
    /// The number of characters of the text.
    pub characters: u32,
}

impl Case {
    /// Returns the rows grouped by recipient.
    pub fn recipients(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|a, b| a.seq == b.seq)
    }

    /// Returns all numbers, each with the index of its first row.
    pub fn phones(&self) -> HashMap<Phone, usize> {
        let rows = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.phone != 0);
        // In reverse order, so that the recipient's first row is kept.
        rows.rev().map(|(at, row)| (row.phone, at)).collect()
    }
}

/// Messages of other schedules to the same numbers, which are in the ledger too.
#[derive(Clone, Debug, Default)]
pub struct OtherSchedules {
    /// The ids of those messages.
    pub ids: HashSet<(Phone, MessageId)>,
    /// The count of messages with the same text for which it is unknown whether the carrier
    /// accepted them.
    pub open: HashMap<Phone, u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_reduced_to_its_digits() {
        let table = [
            ("+60111", Some(60111)),
            ("60111", Some(60111)),
            (" 60111 ", Some(60111)),
            ("6011x", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(phone(text), expected, "{text}");
        }
    }

    #[test]
    fn ids_are_split_at_commas() {
        assert_eq!(
            *MessageId::list(Some("a, b,")),
            [MessageId::new("a"), MessageId::new("b")]
        );
        assert!(MessageId::list(None).is_empty());
    }
}
