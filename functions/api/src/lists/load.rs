//! Writes the chunks of a list as rows: new numbers, numbers that exist already, and entries that
//! are no numbers. All of it runs in the transaction of the caller, who rolls back if the list is
//! refused.

use chrono::{DateTime, Utc};
use shared::{
    batch::SeqRange,
    message::phone::Phone,
    money::costs::{PlannedCost, Planner},
    schedule::unique_by::UniqueBy,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::error::{ApiError, FieldError},
    lists::{
        List,
        copies::{ChunkTarget, write_chunk},
        duplicates::{Duplicates, replace_details},
        entry::{Chunk, Entry, RejectedEntry},
        options::{OnDuplicate, OnInvalid},
        store::{
            InvalidEntry, NamedEntry, added_seqs, insert_invalid_entries, insert_names,
            insert_recipients, insert_variables, known_numbers,
        },
    },
};

/// The destination of a list.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The schedule.
    pub schedule_id: Uuid,
    /// The first unused place in the list of the schedule.
    pub next_seq: u32,
    /// The effect of invalid entries.
    pub on_invalid: OnInvalid,
    /// The effect of entries whose number, or reference, is in the list already.
    pub on_duplicate: OnDuplicate,
    /// What the entries differ by.
    pub unique_by: UniqueBy,
    /// The same list was loaded before: its invalid entries are kept already.
    pub is_repeated: bool,
    /// The time of the call.
    pub now: DateTime<Utc>,
}

/// The numbers of entries that one call added.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Added {
    pub next_seq: u32,
    pub recipients: u32,
    pub invalid: u32,
    pub duplicates: u32,
    /// The largest number of parts of any text; 0 if all recipients get the same text.
    pub parts: u16,
    /// What the new recipients will cost.
    pub cost: PlannedCost,
}

/// The number of errors that are shown if a list is refused.
const SHOWN_ERRORS: usize = 100;
/// The number of entries that are shown if they are skipped.
pub const SHOWN_SKIPPED: usize = 1_000;

/// The result of a list.
#[derive(Debug)]
pub struct Loaded {
    /// The numbers for the schedule's row.
    pub added: Added,
    /// The first thousand of the invalid entries.
    pub invalid: Vec<RejectedEntry>,
    /// The number of all invalid entries of the call.
    pub invalid_total: u32,
    /// The entries whose number was in the list already.
    pub duplicates: Duplicates,
    /// The number of entries of any kind.
    pub entries: u32,
    wrong: Wrong,
    on_invalid: OnInvalid,
    planner: Planner,
}

/// Errors that reject a list, such as unknown fields: a million are counted, and the first ones
/// kept.
#[derive(Debug, Default)]
pub struct Wrong {
    shown: Vec<FieldError>,
    count: usize,
}

impl Wrong {
    /// Adds the errors of a chunk.
    pub fn extend(&mut self, errors: Vec<FieldError>) {
        self.count += errors.len();
        let room = SHOWN_ERRORS.saturating_sub(self.shown.len());
        self.shown.extend(errors.into_iter().take(room));
    }

    /// Returns an error if there were any.
    pub fn refuse(self) -> Result<(), ApiError> {
        if self.count == 0 {
            return Ok(());
        }
        Err(ApiError::Invalid(self.shown, self.count))
    }
}

/// Writes a list. Returns [`ApiError::Invalid`] if the list is refused, under `reject` or because
/// of unknown fields; then the caller rolls back.
pub async fn load(
    connection: &mut MySqlConnection,
    list: List,
    target: Target,
) -> Result<Loaded, ApiError> {
    let mut reading = list.read();
    let mut loaded = Loaded::new(target, Planner::read(&mut *connection).await?);
    while let Some(mut chunk) = reading.chunks.recv().await {
        loaded.count_entries(&mut chunk);
        // Rows that will be rolled back need not be written. The rest of the list is still read, so
        // that the error names everything that is wrong.
        if !loaded.is_refused() {
            match target.unique_by {
                UniqueBy::Phone => loaded.write(connection, &chunk, target).await?,
                UniqueBy::Reference => {
                    loaded
                        .write_by_reference(connection, &chunk, target)
                        .await?;
                }
            }
        }
    }
    reading
        .end
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))??;
    // A list that duplicates refuse is written to its end, so that the error names all of them.
    if loaded.is_refused() || loaded.duplicates.rejected > 0 {
        return Err(loaded.into_error(Vec::new()));
    }
    if target.is_repeated {
        // They were counted with the first call.
        loaded.added.invalid = 0;
    }
    Ok(loaded)
}

/// Returns the errors of a list that will not be written, after the errors found before it.
pub async fn refuse(
    mut errors: Vec<FieldError>,
    list: Option<List>,
    on_invalid: OnInvalid,
) -> ApiError {
    let Some(list) = list else {
        return ApiError::invalid(errors);
    };
    let target = Target {
        schedule_id: Uuid::nil(),
        next_seq: 0,
        on_invalid,
        on_duplicate: OnDuplicate::default(),
        unique_by: UniqueBy::default(),
        is_repeated: false,
        now: DateTime::UNIX_EPOCH,
    };
    let mut reading = list.read();
    let mut loaded = Loaded::new(target, Planner::default());
    while let Some(mut chunk) = reading.chunks.recv().await {
        loaded.count_entries(&mut chunk);
    }
    if let Ok(Err(ApiError::Invalid(list_errors, _))) = reading.end.await {
        errors.extend(list_errors);
    }
    loaded.into_error(errors)
}

impl Loaded {
    fn new(target: Target, planner: Planner) -> Self {
        let added = Added {
            next_seq: target.next_seq,
            cost: planner.start(),
            ..Added::default()
        };
        let on_invalid = target.on_invalid;
        Self {
            added,
            invalid: Vec::new(),
            invalid_total: 0,
            duplicates: Duplicates::of(target.unique_by),
            entries: 0,
            wrong: Wrong::default(),
            on_invalid,
            planner,
        }
    }

    fn count_entries(&mut self, chunk: &mut Chunk) {
        self.entries += chunk.entries.len() as u32;
        self.wrong.extend(std::mem::take(&mut chunk.errors));
        for entry in &chunk.entries {
            let Entry::Invalid(refused) = entry else {
                continue;
            };
            self.added.invalid += 1;
            self.invalid_total += 1;
            if self.invalid.len() < SHOWN_SKIPPED {
                self.invalid.push(RejectedEntry::clone(refused));
            }
        }
    }

    fn is_refused(&self) -> bool {
        self.wrong.count > 0 || (self.on_invalid == OnInvalid::Reject && self.added.invalid > 0)
    }

    fn into_error(self, mut errors: Vec<FieldError>) -> ApiError {
        let mut total = errors.len() + self.wrong.count;
        errors.extend(self.wrong.shown);
        if self.on_invalid == OnInvalid::Reject {
            total += self.added.invalid as usize;
            errors.extend(self.invalid.into_iter().map(|refused| FieldError {
                field: "recipients".to_owned(),
                position: Some(refused.position),
                detail: refused.detail,
                code: refused.code,
                suggestion: refused.suggestion,
            }));
        }
        total += self.duplicates.rejected;
        errors.extend(self.duplicates.errors());
        errors.truncate(SHOWN_ERRORS);
        ApiError::Invalid(errors, total)
    }

    /// Writes a chunk of entries that differ by their references.
    async fn write_by_reference(
        &mut self,
        connection: &mut MySqlConnection,
        chunk: &Chunk,
        target: Target,
    ) -> sqlx::Result<()> {
        let first = self.added.next_seq;
        let mut given = 0;
        let mut invalid = Vec::new();
        for (seq, entry) in (first..).zip(&chunk.entries) {
            match entry {
                Entry::Invalid(refused) => invalid.push(InvalidEntry {
                    seq,
                    position: refused.position,
                    input: &refused.input,
                    code: refused.code,
                }),
                Entry::Personal(personal) => {
                    given += 1;
                    self.added.parts = self.added.parts.max(personal.parts);
                }
                Entry::Valid(_) => given += 1,
            }
        }
        if !target.is_repeated {
            insert_invalid_entries(&mut *connection, target.schedule_id, &invalid, target.now)
                .await?;
        }
        let chunk_target = ChunkTarget {
            schedule_id: target.schedule_id,
            first,
            on_duplicate: target.on_duplicate,
        };
        let written = write_chunk(connection, chunk, chunk_target).await?;
        self.wrong.extend(written.errors);
        for duplicate in written.duplicates {
            self.duplicates.push(duplicate);
        }
        for at in &written.new {
            self.plan(&chunk.entries[*at]);
        }
        self.added.recipients += written.recipients;
        self.added.duplicates += given - written.recipients;
        self.added.next_seq = first + chunk.entries.len() as u32;
        Ok(())
    }

    /// Adds the cost of an entry that is a new recipient.
    fn plan(&mut self, entry: &Entry) {
        let (phone, parts) = match entry {
            Entry::Valid(phone) => (*phone, 0),
            Entry::Personal(personal) => (personal.phone, personal.parts),
            Entry::Invalid(_) => return,
        };
        self.planner.add(&mut self.added.cost, phone, parts);
    }

    async fn write(
        &mut self,
        connection: &mut MySqlConnection,
        chunk: &Chunk,
        target: Target,
    ) -> sqlx::Result<()> {
        let (id, entries, first) = (target.schedule_id, &chunk.entries, self.added.next_seq);
        let mut numbers: Vec<(u32, Phone)> = Vec::with_capacity(entries.len());
        let (mut variables, mut names, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
        for (seq, entry) in (first..).zip(entries) {
            match entry {
                Entry::Valid(phone) => numbers.push((seq, *phone)),
                Entry::Personal(personal) => {
                    numbers.push((seq, personal.phone));
                    self.added.parts = self.added.parts.max(personal.parts);
                    if !personal.variables.is_empty() {
                        variables.push((seq, personal.variables.as_str()));
                    }
                    if !personal.names.is_empty() {
                        names.push(NamedEntry::new(seq, &personal.names));
                    }
                }
                Entry::Invalid(refused) => {
                    invalid.push(InvalidEntry {
                        seq,
                        position: refused.position,
                        input: &refused.input,
                        code: refused.code,
                    });
                }
            }
        }
        let given = numbers.len() as u32;
        // The places follow the order of the list. The rows are inserted in the order of the index
        // of numbers, which is faster.
        numbers.sort_unstable_by_key(|(seq, phone)| (*phone, *seq));
        let mut distinct = numbers.clone();
        distinct.dedup_by_key(|(_, phone)| *phone);
        let new = insert_recipients(&mut *connection, id, &distinct).await?;
        insert_variables(&mut *connection, id, &variables).await?;
        insert_names(&mut *connection, id, &names).await?;
        if !target.is_repeated {
            insert_invalid_entries(&mut *connection, id, &invalid, target.now).await?;
        }
        if new < given && self.duplicates.are_needed(target.on_duplicate) {
            let found = known_numbers(&mut *connection, id, &numbers).await?;
            let position = |seq: u32| chunk.positions[(seq - first) as usize];
            let changes = self.duplicates.add(&found, target.on_duplicate, position);
            replace_details(connection, id, &changes, (first, entries)).await?;
        }
        let is_whole = new as usize == distinct.len();
        let seqs = distinct.iter().map(|(seq, _)| *seq);
        let added = if is_whole || !self.planner.is_needed() {
            seqs.collect()
        } else {
            added_seqs(
                &mut *connection,
                id,
                SeqRange::new(first, first + entries.len() as u32),
            )
            .await?
        };
        for seq in added {
            self.plan(&entries[(seq - first) as usize]);
        }
        self.added.recipients += new;
        self.added.duplicates += given - new;
        self.added.next_seq = first + entries.len() as u32;
        Ok(())
    }
}
