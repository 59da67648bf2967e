//! The references of a list whose entries differ by them (`unique_by: reference`).

use std::collections::BTreeMap;

use shared::message::phone::Phone;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::lists::{
    duplicates::SHOWN,
    entry::Entry,
    options::OnDuplicate,
    store::{KnownReference, known_references},
};

/// References per statement.
const CHUNK: usize = 10_000;

/// The reference of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct GivenReference {
    reference: Box<str>,
    position: u32,
    phone: Phone,
}

/// A duplicate that is shown.
#[derive(Clone, Debug)]
pub struct ShownDuplicate {
    /// Its number.
    pub phone: Phone,
    /// The recipient of the schedule that has its reference.
    pub known: Option<KnownReference>,
}

/// The references of a list.
#[derive(Default)]
pub struct References {
    given: Vec<GivenReference>,
    /// The duplicates with the lowest positions.
    duplicates: BTreeMap<u32, (Box<str>, Phone)>,
}

impl References {
    /// Adds the reference of an entry.
    pub fn add(&mut self, entry: &Entry, position: u32) {
        let Entry::Personal(personal) = entry else {
            return;
        };
        let Some(reference) = &personal.names.reference else {
            return;
        };
        self.given.push(GivenReference {
            reference: reference.clone(),
            position,
            phone: personal.phone,
        });
    }

    /// Keeps one entry of each reference: the first, or the last if it updates the first. Returns the
    /// positions of the others, in their order.
    pub fn remove_duplicates(&mut self, on_duplicate: OnDuplicate) -> Vec<u32> {
        self.given.sort_unstable();
        let mut removed = Vec::new();
        let mut kept = Vec::with_capacity(self.given.len());
        for alike in std::mem::take(&mut self.given).chunk_by(|a, b| a.reference == b.reference) {
            let keeps = match on_duplicate {
                OnDuplicate::Update => alike.len() - 1,
                OnDuplicate::Skip | OnDuplicate::Reject => 0,
            };
            for (at, given) in alike.iter().enumerate() {
                if at == keeps {
                    kept.push(given.clone());
                } else {
                    removed.push(given.position);
                }
                if at > 0 {
                    self.show(given);
                }
            }
        }
        self.given = kept;
        removed.sort_unstable();
        removed
    }

    fn show(&mut self, given: &GivenReference) {
        let shown = (given.reference.clone(), given.phone);
        self.duplicates.insert(given.position, shown);
        if self.duplicates.len() > SHOWN {
            self.duplicates.pop_last();
        }
    }

    /// Removes the entries whose reference a schedule has. Returns their positions, in their order.
    pub async fn remove_known(
        &mut self,
        connection: &mut MySqlConnection,
        id: Uuid,
    ) -> sqlx::Result<Vec<u32>> {
        let mut removed = Vec::new();
        let given = std::mem::take(&mut self.given);
        for chunk in given.chunks(CHUNK) {
            let asked = (0..).zip(chunk).map(|(at, given)| (at, &*given.reference));
            let asked: Vec<_> = asked.collect();
            for known in known_references(connection, id, &asked).await? {
                if let Some(given) = chunk.get(known.given as usize) {
                    self.show(given);
                    removed.push(given.position);
                }
            }
        }
        removed.sort_unstable();
        Ok(removed)
    }

    /// Returns the first duplicates, by their positions.
    pub async fn shown(
        &self,
        connection: &mut MySqlConnection,
        id: Option<Uuid>,
    ) -> sqlx::Result<BTreeMap<u32, ShownDuplicate>> {
        let asked = self.duplicates.iter();
        let asked: Vec<_> = asked
            .map(|(position, (reference, _))| (*position, &**reference))
            .collect();
        let known = match id {
            Some(id) => known_references(connection, id, &asked).await?,
            None => Vec::new(),
        };
        let mut known: BTreeMap<_, _> = known
            .into_iter()
            .map(|known| (known.given, known))
            .collect();
        let shown = |(position, (_, phone)): (&u32, &(Box<str>, Phone))| {
            let known = known.remove(position);
            let phone = *phone;
            (*position, ShownDuplicate { phone, known })
        };
        Ok(self.duplicates.iter().map(shown).collect())
    }
}
