//! All acceptances in order: one entry per message id that was really sent. The ledger is the
//! source of truth with which the scheduler's database is compared.
//!
//! It holds millions of entries: an entry takes 24 bytes, and texts, senders and the data that a
//! request's messages share are stored once.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::Ids;
use crate::interner::Interner;
use crate::message::{Message, Outcome};
use crate::number::Number;

/// One acceptance, a line of `GET /ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// The number as the client wrote it.
    pub dnis: String,
    /// The text that goes to the phone. For a text in several parts, the text of this part.
    pub text: String,
    /// The id for status queries.
    pub message_id: String,
    /// The time of acceptance, RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// The sender, if the request named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The part of a long text, from 1. `None` for a text in one part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_num: Option<u8>,
}

/// The data that the messages of one request share.
struct Batch {
    time_ms: u64,
    first_entry: u32,
    sender: Option<u32>,
    own_id: Option<u32>,
}

/// The record of one message.
pub(crate) struct Entry {
    /// Its request, from [`Ledger::open_batch`].
    pub(crate) batch: u32,
    /// The destination number.
    pub(crate) number: Number,
    /// The time from acceptance to the final status.
    pub(crate) delay_ms: u32,
    /// The number of its text, from [`Ledger::intern_text`].
    pub(crate) text: u32,
    /// The part of a long text, from 1. 0 for a text in one part.
    pub(crate) segment: u8,
    /// How the message ends.
    pub(crate) outcome: Outcome,
}

/// A message with the id and the number that a receipt names.
pub(crate) struct AcceptedMessage {
    pub(crate) message_id: String,
    pub(crate) dnis: String,
    pub(crate) message: Message,
}

/// The first serial number of duplicates. No other data of a duplicate is stored.
const FIRST_DUPLICATE: u64 = 1 << 40;

/// The acceptances since the start or the last reset.
pub(crate) struct Ledger {
    ids: Ids,
    entries: Vec<Entry>,
    batches: Vec<Batch>,
    duplicates: u64,
    texts: Interner,
    senders: Interner,
    own_ids: Interner,
    // Indexed by the number of the own id: the last batch with that id.
    own_id_batches: Vec<u32>,
    // Present only while a setting requires it: a map of all numbers is larger than the ledger.
    attempt_counts: Option<HashMap<Number, u32>>,
}

impl Ledger {
    /// Creates an empty ledger that issues new ids.
    pub(crate) fn new() -> Self {
        Self {
            ids: Ids::new(),
            entries: Vec::new(),
            batches: Vec::new(),
            duplicates: 0,
            texts: Interner::default(),
            senders: Interner::default(),
            own_ids: Interner::default(),
            own_id_batches: Vec::new(),
            attempt_counts: None,
        }
    }

    /// Returns the number of accepted messages.
    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Opens a request's batch and returns the number under which its messages are recorded.
    pub(crate) fn open_batch(
        &mut self,
        time_ms: u64,
        sender: Option<&str>,
        own_id: Option<&str>,
    ) -> u32 {
        let batch = self.batches.len() as u32;
        let sender = sender.map(|sender| self.senders.intern(sender));
        let own_id = own_id.map(|own_id| self.own_ids.intern(own_id));
        if let Some(own_id) = own_id {
            self.own_id_batches
                .resize((own_id as usize + 1).max(self.own_id_batches.len()), batch);
            // If an id is used again, status queries are about the later message.
            self.own_id_batches[own_id as usize] = batch;
        }
        self.batches.push(Batch {
            time_ms,
            first_entry: self.entries.len() as u32,
            sender,
            own_id,
        });
        batch
    }

    /// Stores a text and returns its number.
    pub(crate) fn intern_text(&mut self, text: &str) -> u32 {
        self.texts.intern(text)
    }

    /// Records a message of the last batch and returns its id.
    pub(crate) fn record(&mut self, entry: Entry) -> String {
        self.entries.push(entry);
        self.message_id(self.entries.len() - 1)
    }

    /// Returns an id for a number that occurs again in a request. The id has a status, but no
    /// message was sent.
    pub(crate) fn record_duplicate(&mut self) -> String {
        self.duplicates += 1;
        self.ids.id(FIRST_DUPLICATE + self.duplicates - 1)
    }

    /// Counts one more message to `number` and returns the count, 1 for the first. The parts of one
    /// text count once.
    pub(crate) fn count_attempt(&mut self, number: Number) -> u32 {
        let counts = self.attempt_counts.get_or_insert_with(|| {
            let mut counts = HashMap::new();
            for entry in self.entries.iter().filter(|entry| entry.segment <= 1) {
                *counts.entry(entry.number).or_default() += 1;
            }
            counts
        });
        let count = counts.entry(number).or_default();
        *count += 1;
        *count
    }

    /// Discards the counts. The next [`Ledger::count_attempt`] computes them from the entries.
    pub(crate) fn discard_attempt_counts(&mut self) {
        self.attempt_counts = None;
    }

    /// Returns the message with this id, if the id was issued.
    pub(crate) fn find(&self, message_id: &str) -> Option<Message> {
        if let Some(index) = self.find_by_own_id(message_id) {
            return Some(self.message(index));
        }
        let serial = self.ids.serial(message_id)?;
        if serial < self.len() {
            let index = serial as usize;
            // A message with a client's own id has no other id.
            let is_issued = self.batch(index).own_id.is_none();
            return is_issued.then(|| self.message(index));
        }
        let is_duplicate = (FIRST_DUPLICATE..FIRST_DUPLICATE + self.duplicates).contains(&serial);
        is_duplicate.then_some(Message {
            serial,
            accepted_ms: 0,
            delay_ms: 0,
            outcome: Outcome::Duplicate,
        })
    }

    /// Finds an entry by the client's own id: `id`, or `id-1`, `id-2` … for the parts of a long
    /// text.
    fn find_by_own_id(&self, message_id: &str) -> Option<usize> {
        if let Some(own_id) = self.own_ids.find(message_id) {
            let index =
                self.batches[self.own_id_batches[own_id as usize] as usize].first_entry as usize;
            return (self.entries.get(index)?.segment == 0).then_some(index);
        }
        let (own_id, segment) = message_id.rsplit_once('-')?;
        let batch = self.own_id_batches[self.own_ids.find(own_id)? as usize];
        let segment: u8 = segment.parse().ok()?;
        let index = self.batches[batch as usize].first_entry as usize
            + usize::from(segment.checked_sub(1)?);
        let entry = self.entries.get(index)?;
        (entry.batch == batch && entry.segment == segment).then_some(index)
    }

    fn batch(&self, index: usize) -> &Batch {
        &self.batches[self.entries[index].batch as usize]
    }

    fn message(&self, index: usize) -> Message {
        let Entry {
            delay_ms, outcome, ..
        } = self.entries[index];
        Message {
            serial: index as u64,
            accepted_ms: self.batch(index).time_ms,
            delay_ms,
            outcome,
        }
    }

    fn message_id(&self, index: usize) -> String {
        let Some(own_id) = self.batch(index).own_id else {
            return self.ids.id(index as u64);
        };
        match self.entries[index].segment {
            0 => self.own_ids.get(own_id).to_owned(),
            segment => format!("{}-{segment}", self.own_ids.get(own_id)),
        }
    }

    /// Returns at most `max` lines, starting with line `from`. Returns none after the end.
    pub(crate) fn lines(&self, from: u64, max: u64) -> impl Iterator<Item = LedgerLine> {
        let end = self.len().min(from.saturating_add(max));
        (from..end).map(|index| self.line(index as usize))
    }

    /// Returns the messages from entry `from` to the end, for the receipts that are pushed.
    pub(crate) fn messages_since(&self, from: u64) -> impl Iterator<Item = AcceptedMessage> {
        let accepted = |index: usize| AcceptedMessage {
            message_id: self.message_id(index),
            dnis: self.entries[index].number.to_string(),
            message: self.message(index),
        };
        (from as usize..self.entries.len()).map(accepted)
    }

    fn line(&self, index: usize) -> LedgerLine {
        let batch = self.batch(index);
        let entry = &self.entries[index];
        let time = DateTime::<Utc>::from_timestamp_millis(batch.time_ms as i64).unwrap_or_default();
        LedgerLine {
            dnis: entry.number.to_string(),
            text: self.texts.get(entry.text).to_owned(),
            message_id: self.message_id(index),
            time: time.to_rfc3339_opts(SecondsFormat::Millis, true),
            sender: batch
                .sender
                .map(|sender| self.senders.get(sender).to_owned()),
            segment_num: (entry.segment > 0).then_some(entry.segment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }
}
