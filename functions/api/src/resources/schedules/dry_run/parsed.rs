//! A list that a dry run reads: its numbers, and what would become of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use shared::{
    batch::suppressions::suppressed_among,
    message::{phone::Phone, status::Status},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::error::ApiError,
    lists::{
        List,
        duplicates::{self, Became, DuplicateEntry},
        entry::{Entry, Personal, RejectedEntry},
        load::{SHOWN_SKIPPED, Wrong},
        options::OnDuplicate,
        store::{KnownNumber, known_numbers},
    },
    resources::schedules::{
        dry_run::{
            references::{References, ShownDuplicate},
            store::numbers_in_schedule,
            texts::{Shown, Texts},
        },
        forecast::{DeploymentCapacity, Load},
    },
};

/// Numbers per statement.
const CHUNK: usize = 10_000;

/// One number of a list: 24 bytes, so that a list takes about as much memory as its body.
struct Message {
    phone: Phone,
    /// Its position in the list: an index, or a line.
    position: u32,
    parts: u16,
    is_removed: bool,
    /// A hash, equal for equal texts.
    text: u64,
}

/// Numbers to which a list does not lead.
#[derive(Clone, Copy)]
pub enum Removed {
    /// Those that have opted out.
    Suppressed,
    /// Those that the schedule has already.
    InSchedule(Uuid),
}

impl Removed {
    async fn among(
        self,
        connection: &mut MySqlConnection,
        phones: &[&str],
    ) -> sqlx::Result<Vec<String>> {
        match self {
            Self::Suppressed => suppressed_among(connection, phones).await,
            Self::InSchedule(id) => numbers_in_schedule(connection, id, phones).await,
        }
    }
}

/// A list that was read.
#[derive(Default)]
pub struct ParsedList {
    messages: Vec<Message>,
    /// The largest number of parts of a text with variables.
    pub most_parts: u16,
    /// Entries of any kind.
    pub entries: u64,
    /// The first thousand of the invalid entries.
    pub invalid: Vec<RejectedEntry>,
    /// The number of all invalid entries.
    pub invalid_count: u64,
    shown: Shown,
    duplicates: FirstDuplicates,
    /// If the entries differ by their references.
    references: Option<References>,
}

/// The duplicates with the lowest positions.
#[derive(Default)]
struct FirstDuplicates(BTreeMap<u32, Phone>);

impl FirstDuplicates {
    fn add(&mut self, message: &Message) {
        self.0.insert(message.position, message.phone);
        if self.0.len() > duplicates::SHOWN {
            self.0.pop_last();
        }
    }
}

impl ParsedList {
    /// Reads a list. Fails if the list would be refused however invalid entries are treated.
    pub async fn read(list: List) -> Result<Self, ApiError> {
        let mut parsed = Self {
            references: list.options.needs_reference.then(References::default),
            ..Self::default()
        };
        let mut reading = list.read();
        let mut wrong = Wrong::default();
        while let Some(chunk) = reading.chunks.recv().await {
            wrong.extend(chunk.errors);
            for (entry, position) in chunk.entries.into_iter().zip(chunk.positions) {
                parsed.add(entry, position);
            }
        }
        reading
            .end
            .await
            .map_err(|error| ApiError::Internal(error.to_string()))??;
        wrong.refuse()?;
        Ok(parsed)
    }

    fn add(&mut self, entry: Entry, position: u32) {
        self.entries += 1;
        if let Some(references) = &mut self.references {
            references.add(&entry, position);
        }
        match entry {
            Entry::Valid(phone) => {
                self.shown.add_plain(phone);
                self.push(phone, position, 0, 0);
            }
            Entry::Personal(personal) => self.add_personal(&personal, position),
            Entry::Invalid(refused) => {
                self.invalid_count += 1;
                if self.invalid.len() < SHOWN_SKIPPED {
                    self.invalid.push(*refused);
                }
            }
        }
    }

    /// Adds a number with a text of its own.
    pub fn add_personal(&mut self, personal: &Personal, position: u32) {
        self.shown.add(personal);
        self.push(personal.phone, position, personal.parts, personal.text_hash);
    }

    fn push(&mut self, phone: Phone, position: u32, parts: u16, text: u64) {
        self.most_parts = self.most_parts.max(parts);
        self.messages.push(Message {
            phone,
            position,
            parts,
            is_removed: false,
            text,
        });
    }

    /// Returns how many numbers are left.
    pub const fn count(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Removes the entries at these positions, which are in their order.
    fn remove_positions(&mut self, positions: &[u32]) {
        let is_kept = |message: &Message| positions.binary_search(&message.position).is_err();
        self.messages.retain(is_kept);
    }

    /// Keeps one entry of each number, or of each reference: the first, or the last if it updates the
    /// first. Returns how many entries it removed.
    pub fn remove_duplicates(&mut self, on_duplicate: OnDuplicate) -> u64 {
        let entries = self.count();
        if let Some(references) = &mut self.references {
            let removed = references.remove_duplicates(on_duplicate);
            self.remove_positions(&removed);
            return entries - self.count();
        }
        self.messages
            .sort_unstable_by_key(|message| (message.phone, message.position));
        let duplicates = &mut self.duplicates;
        self.messages.dedup_by(|later, kept| {
            let is_equal = later.phone == kept.phone;
            if is_equal {
                duplicates.add(later);
            }
            if is_equal && on_duplicate == OnDuplicate::Update {
                (kept.parts, kept.text) = (later.parts, later.text);
            }
            is_equal
        });
        entries - self.count()
    }

    /// Returns the first of the entries that were removed because their number (or reference) was in the
    /// list before or is in the schedule, and what would become of them.
    pub async fn duplicate_entries(
        &self,
        connection: &mut MySqlConnection,
        schedule: Option<Uuid>,
        on_duplicate: OnDuplicate,
    ) -> sqlx::Result<Vec<DuplicateEntry>> {
        if let Some(references) = &self.references {
            let shown = references.shown(connection, schedule).await?.into_iter();
            let entry = |(position, ShownDuplicate { phone, known })| {
                let status = known.as_ref().map(|known| known.status.as_str());
                DuplicateEntry {
                    position,
                    phone: phone.to_string(),
                    became: Became::of(on_duplicate, status.unwrap_or(Status::Pending.as_str())),
                    seq: known.map(|known| known.seq),
                }
            };
            return Ok(shown.map(entry).collect());
        }
        let first = &self.duplicates.0;
        let phones: Vec<_> = first.values().map(|phone| (0, *phone)).collect();
        let known = match schedule {
            Some(id) => known_numbers(connection, id, &phones).await?,
            None => Vec::new(),
        };
        let known: HashMap<&str, &KnownNumber> = known
            .iter()
            .map(|known| (known.phone.as_str(), known))
            .collect();
        let entry = |(position, phone): (&u32, &Phone)| {
            let phone = phone.to_string();
            let known = known.get(phone.as_str());
            let status = known.map_or(Status::Pending.as_str(), |known| &known.status);
            DuplicateEntry {
                position: *position,
                seq: known.map(|known| known.seq),
                became: Became::of(on_duplicate, status),
                phone,
            }
        };
        Ok(first.iter().map(entry).collect())
    }

    /// Removes numbers that are known. Returns how many.
    pub async fn remove(
        &mut self,
        connection: &mut MySqlConnection,
        removed: Removed,
    ) -> Result<u64, ApiError> {
        let entries = self.count();
        if let (Removed::InSchedule(id), Some(references)) = (removed, &mut self.references) {
            let removed = references.remove_known(connection, id).await?;
            self.remove_positions(&removed);
            return Ok(entries - self.count());
        }
        for messages in self.messages.chunks_mut(CHUNK) {
            let phones: Vec<_> = messages
                .iter()
                .map(|message| message.phone.to_string())
                .collect();
            let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
            let known: HashSet<Phone> = removed
                .among(connection, &phones)
                .await?
                .iter()
                .filter_map(|phone| phone.parse().ok())
                .collect();
            for message in messages {
                message.is_removed = known.contains(&message.phone);
            }
        }
        if let Removed::InSchedule(_) = removed {
            let known = self.messages.iter().filter(|message| message.is_removed);
            known.for_each(|message| self.duplicates.add(message));
        }
        self.messages.retain(|message| !message.is_removed);
        Ok(entries - self.count())
    }

    /// Returns the load on the carrier. As in send, numbers with the same text share requests
    /// within a batch. `parts` is the number of parts of a text without variables.
    pub fn load(&mut self, parts: u16, rate: Option<u32>, capacity: DeploymentCapacity) -> Load {
        self.messages
            .sort_unstable_by_key(|message| message.position);
        let mut requests = 0;
        for batch in self.messages.chunks(capacity.batch as usize) {
            let mut equal: HashMap<u64, u64> = HashMap::new();
            for message in batch {
                *equal.entry(message.text).or_default() += 1;
            }
            requests += equal
                .values()
                .map(|count| count.div_ceil(capacity.numbers.into()))
                .sum::<u64>();
        }
        let counts = self.parts_by_count(parts);
        Load {
            messages: self.count(),
            parts: counts
                .iter()
                .map(|(parts, messages)| u64::from(*parts) * messages)
                .sum(),
            requests,
            rate,
        }
    }

    /// Returns the numbers, each with the parts of its text. `parts` is that of a text without
    /// variables.
    pub fn addressed(&self, parts: u16) -> impl Iterator<Item = (Phone, u16)> {
        let messages = self.messages.iter();
        messages.map(move |message| (message.phone, message.parts.max(parts)))
    }

    /// Returns what the report shows of the texts. `parts` is that of a text without variables.
    pub fn into_texts(self, message: &str, parts: u16) -> Result<Texts, ApiError> {
        let counts = self.parts_by_count(parts);
        self.shown.render(message, &counts)
    }

    fn parts_by_count(&self, parts: u16) -> BTreeMap<u16, u64> {
        let mut counts = BTreeMap::new();
        for message in &self.messages {
            *counts.entry(message.parts.max(parts)).or_default() += 1;
        }
        counts
    }
}
