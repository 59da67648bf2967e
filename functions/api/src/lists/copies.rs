//! Writes the chunks of a list whose entries differ by their references, so that a number may occur
//! more than once (`unique_by: reference`). Runs under the lock of the schedule, so that what was
//! read stays true.

use std::collections::{BTreeMap, HashMap};

use shared::message::{
    phone::Phone,
    place::{LAST_POSITION, MOST_COPIES, Place},
    status::Status,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::error::FieldError,
    lists::{
        duplicates::{Became, DuplicateEntry, replace_details},
        entry::{Chunk, Entry, Personal},
        options::OnDuplicate,
        store::{
            KnownReference, copies_of, insert_copies, known_references, remove_names,
            remove_recipients, remove_variables,
        },
    },
};

/// Where and how a chunk is written.
#[derive(Clone, Copy, Debug)]
pub struct ChunkTarget {
    /// The schedule.
    pub schedule_id: Uuid,
    /// The position of the first entry in the list of the schedule.
    pub first: u32,
    /// The effect of entries whose reference is in the list already.
    pub on_duplicate: OnDuplicate,
}

/// What became of a chunk.
#[derive(Debug, Default)]
pub struct WrittenChunk {
    /// The number of new recipients.
    pub recipients: u32,
    /// The entries whose number and details the new recipients have.
    pub new: Vec<usize>,
    /// The duplicates, in their order.
    pub duplicates: Vec<DuplicateEntry>,
    /// Errors that refuse the list.
    pub errors: Vec<FieldError>,
}

/// A recipient that the chunk names.
struct Named {
    /// Its place, once it has one.
    seq: Option<u32>,
    /// Its number before this chunk.
    phone: String,
    status: String,
    /// Whether it was in the schedule before.
    is_known: bool,
    /// The entry whose position it takes if it gets a place.
    at: usize,
    /// The entry whose number and details it gets.
    content: Option<usize>,
}

impl Named {
    /// Returns whether it gets a place: it is new, or it has another number than before.
    fn needs_place(&self, entries: &[Entry]) -> bool {
        let content = self.content.and_then(|at| personal(entries, at));
        !self.is_known || content.is_some_and(|entry| entry.phone.to_string() != self.phone)
    }
}

/// Writes a chunk.
pub async fn write_chunk(
    connection: &mut MySqlConnection,
    chunk: &Chunk,
    target: ChunkTarget,
) -> sqlx::Result<WrittenChunk> {
    let id = target.schedule_id;
    let known = read_known(connection, id, &chunk.entries).await?;
    let mut plan = Plan::default();
    for at in 0..chunk.entries.len() {
        plan.add(at, &chunk.entries, &known, target.on_duplicate);
    }
    let mut written = WrittenChunk {
        recipients: plan.named.iter().filter(|named| !named.is_known).count() as u32,
        new: (plan.named.iter())
            .filter(|named| !named.is_known)
            .filter_map(|named| named.content)
            .collect(),
        ..WrittenChunk::default()
    };
    let placed = plan.placed(&chunk.entries);
    remove(connection, id, &plan.moved(&placed)).await?;
    let wanted: Vec<_> = placed
        .iter()
        .map(|(n, phone)| (target.first + plan.named[*n].at as u32, *phone))
        .collect();
    let free = free_places(connection, id, &wanted).await?;
    for (place, (n, _)) in free.iter().zip(&placed) {
        let named = &mut plan.named[*n];
        let position = chunk.positions.get(named.at).copied();
        if let Some(error) = refusal(*place, position) {
            written.errors.push(error);
        }
        named.seq = Some(place.seq());
    }
    if written.errors.is_empty() {
        let rows = free.iter().zip(&wanted);
        let rows: Vec<_> = rows
            .map(|(place, (_, phone))| (place.seq(), *phone))
            .collect();
        insert_copies(connection, id, &rows).await?;
        let content = |named: &Named| Some((named.seq?, target.first + named.content? as u32));
        let changes: BTreeMap<u32, u32> = plan.named.iter().filter_map(content).collect();
        replace_details(connection, id, &changes, (target.first, &chunk.entries)).await?;
    }
    written.duplicates = plan.into_duplicates(chunk);
    Ok(written)
}

/// Returns the entry at this place, which has a reference unless it is invalid.
fn personal(entries: &[Entry], at: usize) -> Option<&Personal> {
    match entries.get(at) {
        Some(Entry::Personal(personal)) => Some(personal),
        _ => None,
    }
}

fn reference(entry: &Personal) -> &str {
    entry.names.reference.as_deref().unwrap_or_default()
}

async fn read_known(
    connection: &mut MySqlConnection,
    id: Uuid,
    entries: &[Entry],
) -> sqlx::Result<HashMap<usize, KnownReference>> {
    let given: Vec<_> = (0..entries.len())
        .filter_map(|at| Some((at as u32, reference(personal(entries, at)?))))
        .collect();
    let known = known_references(connection, id, &given).await?;
    Ok(known
        .into_iter()
        .map(|known| (known.given as usize, known))
        .collect())
}

/// Removes recipients that get another place.
async fn remove(connection: &mut MySqlConnection, id: Uuid, seqs: &[u32]) -> sqlx::Result<()> {
    if seqs.is_empty() {
        return Ok(());
    }
    remove_variables(&mut *connection, id, seqs).await?;
    remove_names(&mut *connection, id, seqs).await?;
    remove_recipients(connection, id, seqs).await
}

/// Returns the error for a place that the list cannot have.
fn refusal(place: Place, position: Option<u32>) -> Option<FieldError> {
    let error = if place.copy >= MOST_COPIES {
        let detail = format!("expected at most {MOST_COPIES} recipients with one number");
        FieldError::new("recipients", "too-many-of-number", detail)
    } else if place.position > LAST_POSITION {
        let detail = format!("expected at most {LAST_POSITION} entries in all calls together");
        FieldError::new("recipients", "too-many", detail)
    } else {
        return None;
    };
    Some(FieldError { position, ..error })
}

/// Returns a free place for each of these new recipients, which are given by their positions and
/// numbers, in the same order.
pub async fn free_places(
    connection: &mut MySqlConnection,
    id: Uuid,
    wanted: &[(u32, Phone)],
) -> sqlx::Result<Vec<Place>> {
    let phones: Vec<_> = wanted.iter().map(|(_, phone)| phone.to_string()).collect();
    let mut next: HashMap<Phone, u32> = HashMap::new();
    for taken in copies_of(connection, id, &phones).await? {
        if let Ok(phone) = taken.phone.parse() {
            let next = next.entry(phone).or_default();
            *next = (*next).max(u32::from(taken.copy) + 1);
        }
    }
    let place = |(position, phone): &(u32, Phone)| {
        let next = next.entry(*phone).or_default();
        let copy = *next;
        *next += 1;
        Place {
            position: *position,
            copy,
        }
    };
    Ok(wanted.iter().map(place).collect())
}

/// The changes that the entries of a chunk need.
#[derive(Default)]
struct Plan {
    named: Vec<Named>,
    by_reference: HashMap<Box<str>, usize>,
    /// Each duplicate: its entry, its recipient, and what became of it.
    duplicates: Vec<(usize, usize, Became)>,
}

impl Plan {
    fn add(
        &mut self,
        at: usize,
        entries: &[Entry],
        known: &HashMap<usize, KnownReference>,
        on_duplicate: OnDuplicate,
    ) {
        let Some(entry) = personal(entries, at) else {
            return;
        };
        let found = self.by_reference.get(reference(entry)).copied();
        let n = found.unwrap_or_else(|| self.name(at, entry, known.get(&at)));
        let named = &mut self.named[n];
        if found.is_none() && !named.is_known {
            return;
        }
        let became = Became::of(on_duplicate, &named.status);
        if became == Became::Updated {
            if named.is_known {
                named.at = at;
            }
            named.content = Some(at);
        }
        self.duplicates.push((at, n, became));
    }

    /// Adds the recipient of a reference.
    fn name(&mut self, at: usize, entry: &Personal, known: Option<&KnownReference>) -> usize {
        let n = self.named.len();
        self.by_reference.insert(reference(entry).into(), n);
        self.named.push(Named {
            seq: known.map(|known| known.seq),
            phone: known.map_or_else(|| entry.phone.to_string(), |known| known.phone.clone()),
            status: known.map_or(Status::Pending.as_str().to_owned(), |known| {
                known.status.clone()
            }),
            is_known: known.is_some(),
            at,
            content: known.is_none().then_some(at),
        });
        n
    }

    /// Returns the recipients that get a place, with their numbers.
    fn placed(&self, entries: &[Entry]) -> Vec<(usize, Phone)> {
        let placed = self.named.iter().enumerate();
        let placed = placed.filter(|(_, named)| named.needs_place(entries));
        placed
            .filter_map(|(n, named)| Some((n, personal(entries, named.content?)?.phone)))
            .collect()
    }

    /// Returns the old places of those that get another one.
    fn moved(&self, placed: &[(usize, Phone)]) -> Vec<u32> {
        let named = placed.iter().map(|(n, _)| &self.named[*n]);
        named.filter_map(|named| named.seq).collect()
    }

    fn into_duplicates(self, chunk: &Chunk) -> Vec<DuplicateEntry> {
        let entry = |(at, n, became): (usize, usize, Became)| {
            Some(DuplicateEntry {
                position: *chunk.positions.get(at)?,
                phone: personal(&chunk.entries, at)?.phone.to_string(),
                seq: self.named[n].seq,
                became,
            })
        };
        self.duplicates.into_iter().filter_map(entry).collect()
    }
}
