//! What the proof is made from: the database's rows of one schedule, and the carrier's ledger, both in a compact form. A million
//! recipients take some 150 MB.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use shared::message::status::Status;

/// The digits of a number, without the plus sign; 0 for what has none.
pub type Phone = u64;

/// A number's digits; none where it has other characters than digits and a leading plus sign.
pub fn phone(text: &str) -> Option<Phone> {
    text.trim().trim_start_matches('+').parse().ok()
}

/// A message id, hashed: it is only ever looked for among the few ids of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(u64);

impl MessageId {
    /// The id with that text.
    pub fn new(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.trim().hash(&mut hasher);
        Self(hasher.finish())
    }

    /// The ids of a column: several are joined by commas.
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
    /// Place in the list.
    pub seq: u32,
    /// To whom.
    pub phone: Phone,
    /// Which attempt; 0: never sent.
    pub attempt: u32,
    /// A row of `attempts`, which another attempt has followed.
    pub earlier: bool,
    /// How it ended, or stands.
    pub status: Status,
    /// `recipients.resends`; 0 in `attempts`.
    pub resends: u32,
    /// The carrier's ids: one for each part that it is known to have accepted.
    pub ids: Box<[MessageId]>,
    /// When it was sent.
    pub sent_ms: Option<i64>,
    /// When it ended.
    pub final_ms: Option<i64>,
}

/// How a ledger's text compares with the schedule's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The ledger says none.
    Unknown,
    /// The text or a part of it, with so many characters.
    Ours(u32),
    /// Another one.
    Other,
}

/// An acceptance in the ledger.
#[derive(Clone, Debug)]
pub struct Entry {
    /// To whom.
    pub phone: Phone,
    /// The id that the carrier gave.
    pub id: MessageId,
    /// When; the latest moment that it can mean, where it is told in whole seconds.
    pub at_ms: Option<i64>,
    /// What.
    pub text: Text,
}

/// What the database says of one schedule.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its rows, by seq and attempt; the last one of a seq is the recipient's own.
    pub rows: Vec<Row>,
    /// `schedules.run_at`
    pub run_at_ms: i64,
    /// `schedules.created_at`: what was accepted earlier isn't its own.
    pub created_ms: i64,
    /// Whether its policy sends an UNCERTAIN message again.
    pub resends_uncertain: bool,
    /// Parts of the text.
    pub parts: u32,
    /// Characters of the text.
    pub characters: u32,
}

impl Case {
    /// The rows of each recipient.
    pub fn recipients(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|a, b| a.seq == b.seq)
    }

    /// All numbers, each with its place among the rows.
    pub fn phones(&self) -> HashMap<Phone, usize> {
        let rows = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.phone != 0);
        // From the last to the first, so that a recipient's first row stays.
        rows.rev().map(|(at, row)| (row.phone, at)).collect()
    }
}

/// What other schedules say of the same numbers: their messages are in the ledger too.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// Ids that belong to them.
    pub ids: HashSet<(Phone, MessageId)>,
    /// Messages with the same text of which they don't know yet whether the carrier took them.
    pub open: HashMap<Phone, u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_digits() {
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
