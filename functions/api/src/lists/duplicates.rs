//! Entries whose number, or reference, is in the schedule already, or in the list before: what becomes
//! of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use shared::{message::status::Status, schedule::unique_by::UniqueBy};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::error::FieldError,
    lists::{
        entry::Entry,
        options::OnDuplicate,
        store::{
            KnownNumber, NamedEntry, insert_names, insert_variables, remove_names, remove_variables,
        },
    },
};

/// The number of duplicates that are shown.
pub const SHOWN: usize = 100;

/// What became of a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// The entry has no effect.
    Skipped,
    /// The recipient has the variables, the reference and the group of this entry now, or of a later
    /// one with the same number; with `unique_by: reference`, also its number.
    Updated,
    /// The list would be refused; only in dry runs.
    Rejected,
}

impl Became {
    /// Returns what becomes of a duplicate of a recipient in this state.
    pub fn of(on_duplicate: OnDuplicate, status: &str) -> Self {
        match on_duplicate {
            OnDuplicate::Update if status == Status::Pending.as_str() => Self::Updated,
            OnDuplicate::Update | OnDuplicate::Skip => Self::Skipped,
            OnDuplicate::Reject => Self::Rejected,
        }
    }
}

/// An entry whose number is in the schedule already, or in the list before; with `unique_by:
/// reference`, one whose reference is.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct DuplicateEntry {
    /// Index from 0 (JSON) or line from 1 (NDJSON, CSV).
    pub position: u32,
    /// The number.
    pub phone: String,
    /// The place in the schedule of the recipient that has it; null in a dry run, if it is only in the
    /// list before.
    pub seq: Option<u32>,
    /// What became of the entry.
    pub became: Became,
}

/// The duplicates of a call.
#[derive(Debug, Default)]
pub struct Duplicates {
    /// The first ones.
    pub shown: Vec<DuplicateEntry>,
    /// How many have changed a recipient.
    pub updated: u32,
    /// How many refuse the list.
    pub rejected: usize,
    /// What makes an entry a duplicate.
    unique_by: UniqueBy,
}

impl Duplicates {
    /// Returns no duplicates of a list whose entries differ by this.
    pub fn of(unique_by: UniqueBy) -> Self {
        Self {
            unique_by,
            ..Self::default()
        }
    }

    /// Adds a duplicate.
    pub fn push(&mut self, entry: DuplicateEntry) {
        match entry.became {
            Became::Skipped => {}
            Became::Rejected => self.rejected += 1,
            Became::Updated => self.updated += 1,
        }
        if self.shown.len() < SHOWN {
            self.shown.push(entry);
        }
    }

    /// Returns whether the duplicates of a further chunk have to be found, not only counted.
    pub fn are_needed(&self, on_duplicate: OnDuplicate) -> bool {
        on_duplicate != OnDuplicate::Skip || self.shown.len() < SHOWN
    }

    /// Adds the duplicates of a chunk, in its order. Returns the places of the recipients to change,
    /// each with that of the last entry that changes it.
    pub fn add(
        &mut self,
        found: &[KnownNumber],
        on_duplicate: OnDuplicate,
        position: impl Fn(u32) -> u32,
    ) -> BTreeMap<u32, u32> {
        let mut changes = BTreeMap::new();
        for known in found {
            let became = Became::of(on_duplicate, &known.status);
            if became == Became::Updated {
                changes.insert(known.seq, known.given);
            }
            self.push(DuplicateEntry {
                position: position(known.given),
                phone: known.phone.clone(),
                seq: Some(known.seq),
                became,
            });
        }
        changes
    }

    /// Returns the errors of a list that is refused because of them.
    pub fn errors(self) -> impl Iterator<Item = FieldError> {
        let what = match self.unique_by {
            UniqueBy::Phone => "number",
            UniqueBy::Reference => "reference",
        };
        let rejected = self.shown.into_iter();
        let rejected = rejected.filter(|entry| entry.became == Became::Rejected);
        rejected.map(move |entry| {
            let place = entry.seq.map_or_else(String::new, |seq| format!(" at seq {seq}"));
            let detail = format!(
                "expected each {what} once, because `on_duplicate` is `reject`; this one is in the list already{place}"
            );
            FieldError {
                position: Some(entry.position),
                ..FieldError::new("recipients", "duplicate", detail)
            }
        })
    }
}

/// Replaces the variables, the reference and the group of recipients by those of other entries of a
/// chunk that begins at the place `first`. `changes` are the places of the recipients and entries.
pub async fn replace_details(
    connection: &mut MySqlConnection,
    id: Uuid,
    changes: &BTreeMap<u32, u32>,
    (first, entries): (u32, &[Entry]),
) -> sqlx::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let seqs: Vec<u32> = changes.keys().copied().collect();
    remove_variables(&mut *connection, id, &seqs).await?;
    remove_names(&mut *connection, id, &seqs).await?;
    let (mut variables, mut names) = (Vec::new(), Vec::new());
    for (seq, given) in changes {
        let entry = entries.get((given - first) as usize);
        let Some(Entry::Personal(personal)) = entry else {
            continue;
        };
        if !personal.variables.is_empty() {
            variables.push((*seq, personal.variables.as_str()));
        }
        if !personal.names.is_empty() {
            names.push(NamedEntry::new(*seq, &personal.names));
        }
    }
    insert_variables(&mut *connection, id, &variables).await?;
    insert_names(connection, id, &names).await
}
