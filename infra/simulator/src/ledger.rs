//! What the carrier accepted, in order: one entry for each message id that was really sent. This is the truth that the
//! scheduler's database is held against.
//!
//! Made for millions of entries: an entry takes 24 bytes; texts, senders and what a whole request shares are kept once.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::Ids;
use crate::life::{Fate, Life};
use crate::names::Names;
use crate::number::Number;

/// One acceptance: a line of `GET /ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// The number, as it was sent.
    pub dnis: String,
    /// The text that goes to the phone: of a text in several parts, this part's own.
    pub text: String,
    /// The id under which its status can be asked.
    pub message_id: String,
    /// When it was accepted, RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// The sender, if the request named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Which part of a long text, from 1; none for a text in one piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_num: Option<u8>,
}

/// What the messages of one request share.
struct Batch {
    time_ms: u64,
    first_entry: u32,
    sender: Option<u32>,
    own_id: Option<u32>,
}

/// What is recorded of one message.
pub(crate) struct Entry {
    /// The request it came with, from [`Ledger::open_batch`].
    pub(crate) batch: u32,
    /// To whom.
    pub(crate) number: Number,
    /// How long until it ends.
    pub(crate) delay_ms: u32,
    /// Its text, from [`Ledger::intern_text`].
    pub(crate) text: u32,
    /// Which part of a long text, from 1; 0 for a text in one piece.
    pub(crate) segment: u8,
    /// How it ends.
    pub(crate) fate: Fate,
}

/// Serial numbers from here on are those of duplicates, of which nothing else is kept.
const DUPLICATES: u64 = 1 << 40;

/// All acceptances since the start or the last reset.
pub(crate) struct Ledger {
    ids: Ids,
    entries: Vec<Entry>,
    batches: Vec<Batch>,
    duplicates: u64,
    texts: Names,
    senders: Names,
    own_ids: Names,
    // By the number of the own id: the last batch that came with it.
    own_id_batches: Vec<u32>,
    // Counted only while a setting asks for it: a map of all numbers is larger than the ledger.
    attempts: Option<HashMap<Number, u32>>,
}

impl Ledger {
    /// An empty ledger with ids of its own.
    pub(crate) fn new() -> Self {
        Self {
            ids: Ids::new(),
            entries: Vec::new(),
            batches: Vec::new(),
            duplicates: 0,
            texts: Names::default(),
            senders: Names::default(),
            own_ids: Names::default(),
            own_id_batches: Vec::new(),
            attempts: None,
        }
    }

    /// How many messages were accepted.
    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Begins a request's messages and gives the number to record them with.
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
            // An id used again is asked about for the later message.
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

    /// The number under which a text is kept.
    pub(crate) fn intern_text(&mut self, text: &str) -> u32 {
        self.texts.intern(text)
    }

    /// Records a message of the last batch and gives its id.
    pub(crate) fn record(&mut self, entry: Entry) -> String {
        self.entries.push(entry);
        self.message_id(self.entries.len() - 1)
    }

    /// An id for a number named twice: it can be asked about, but nothing was sent.
    pub(crate) fn record_duplicate(&mut self) -> String {
        self.duplicates += 1;
        self.ids.id(DUPLICATES + self.duplicates - 1)
    }

    /// Counts one more message to `number` and gives the count: 1 for the first. Parts of one text count once.
    pub(crate) fn count_attempt(&mut self, number: Number) -> u32 {
        let attempts = self.attempts.get_or_insert_with(|| {
            let mut attempts = HashMap::new();
            for entry in self.entries.iter().filter(|entry| entry.segment <= 1) {
                *attempts.entry(entry.number).or_default() += 1;
            }
            attempts
        });
        let count = attempts.entry(number).or_default();
        *count += 1;
        *count
    }

    /// Frees the counts; the next [`Ledger::count_attempt`] makes them up from the entries.
    pub(crate) fn forget_attempts(&mut self) {
        self.attempts = None;
    }

    /// What is known about the message with this id.
    pub(crate) fn find(&self, message_id: &str) -> Option<Life> {
        if let Some(index) = self.find_own(message_id) {
            return Some(self.life(index));
        }
        let serial = self.ids.serial(message_id)?;
        if serial < self.len() {
            let index = serial as usize;
            // A message with an id of the client's own has no other.
            return self.batch(index).own_id.is_none().then(|| self.life(index));
        }
        let is_duplicate = (DUPLICATES..DUPLICATES + self.duplicates).contains(&serial);
        is_duplicate.then_some(Life {
            serial,
            accepted_ms: 0,
            delay_ms: 0,
            fate: Fate::Duplicate,
        })
    }

    /// The entry that the client named itself: `id`, or `id-1`, `id-2` … for the parts of a long text.
    fn find_own(&self, message_id: &str) -> Option<usize> {
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

    fn life(&self, index: usize) -> Life {
        let Entry { delay_ms, fate, .. } = self.entries[index];
        Life {
            serial: index as u64,
            accepted_ms: self.batch(index).time_ms,
            delay_ms,
            fate,
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

    /// The lines from the `from`-th on, at most `most` of them; none behind the end.
    pub(crate) fn lines(&self, from: u64, most: u64) -> impl Iterator<Item = LedgerLine> {
        let end = self.len().min(from.saturating_add(most));
        (from..end).map(|index| self.line(index as usize))
    }

    /// Id, number and life of the entries from the `from`-th on, for whoever pushes their ends.
    pub(crate) fn since(&self, from: u64) -> impl Iterator<Item = (String, String, Life)> {
        let entry = |index: usize| {
            (
                self.message_id(index),
                self.entries[index].number.to_string(),
                self.life(index),
            )
        };
        (from as usize..self.entries.len()).map(entry)
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
