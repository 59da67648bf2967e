//! `POST /v1/schedules/{id}/recipients?dry_run=true`: reports the effect of an append. The list is
//! read as usual, and nothing is written.

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    message::template::Template,
    schedule::{
        priority::Priority,
        row::{Schedule, load_schedule},
    },
};
use uuid::Uuid;

use crate::{
    App,
    http::error::ApiError,
    lists::{
        List,
        duplicates::DuplicateEntry,
        entry::RejectedEntry,
        options::{ListDefaults, OnDuplicate, OnInvalid},
    },
    resources::{
        recipients::append::{Appendable, ListEffects, empty},
        schedules::{
            dry_run::{
                parsed::{ParsedList, Removed},
                texts::Texts,
            },
            priority,
        },
    },
};

/// The effect that an append would have.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AppendDryRun")]
pub struct Report {
    /// Always true.
    #[schemars(extend("const" = true))]
    dry_run: bool,
    /// Whether the call would be accepted. An invalid entry refuses it under `on_invalid: reject`, and
    /// a duplicate under `on_duplicate: reject`.
    accepted: bool,
    /// Numbers that are new in the schedule.
    valid: u64,
    /// Of these, numbers that have opted out so far, to which nothing would be sent.
    suppressed: u64,
    /// Entries whose number is in the schedule already, or in the list before.
    duplicates: u64,
    /// The first hundred of them, and what would become of each.
    duplicate_entries: Vec<DuplicateEntry>,
    /// Of these, entries whose number is in the list before.
    duplicates_in_list: u64,
    /// Of these, distinct numbers that are in the schedule already.
    duplicates_in_schedule: u64,
    /// Entries that are invalid.
    invalid_count: u64,
    /// The first thousand of them.
    invalid: Vec<RejectedEntry>,
    /// Parts of all messages that the list adds.
    parts_total: u64,
    #[serde(flatten)]
    texts: Texts,
    /// The priority that the schedule would have.
    priority: Priority,
    /// The number of recipients that the schedule would have.
    recipients_total: u64,
}

/// Reads the list, and reports the effect of appending it.
pub async fn dry_run(
    app: &App,
    id: Uuid,
    mut list: List,
    given: ListEffects,
) -> Result<Report, ApiError> {
    let (row, defaults) = read_schedule(app, id, &mut list).await?;
    let mut parsed = ParsedList::read(list).await?;
    if parsed.entries == 0 {
        return Err(empty());
    }
    let on_invalid = given.on_invalid.or(defaults.on_invalid).unwrap_or_default();
    let on_duplicate = given.on_duplicate.or(defaults.on_duplicate);
    let on_duplicate = on_duplicate.unwrap_or_default();
    let duplicates_in_list = parsed.remove_duplicates(on_duplicate);
    let (duplicates_in_schedule, duplicate_entries, valid, suppressed) = {
        let connection = &mut *app.db.acquire().await?;
        let in_schedule = parsed.remove(connection, Removed::InSchedule(id)).await?;
        let duplicate_entries = parsed
            .duplicate_entries(connection, Some(id), on_duplicate)
            .await?;
        let valid = parsed.count();
        let suppressed = parsed.remove(connection, Removed::Suppressed).await?;
        (in_schedule, duplicate_entries, valid, suppressed)
    };
    let parts = fixed_parts(&row)?;
    let recipients_total = u64::from(row.recipient_count) + valid;
    let duplicates = duplicates_in_list + duplicates_in_schedule;
    Ok(Report {
        dry_run: true,
        accepted: (parsed.invalid_count == 0 || on_invalid == OnInvalid::Skip)
            && (duplicates == 0 || on_duplicate != OnDuplicate::Reject),
        valid,
        suppressed,
        duplicates,
        duplicate_entries,
        duplicates_in_list,
        duplicates_in_schedule,
        invalid_count: parsed.invalid_count,
        invalid: std::mem::take(&mut parsed.invalid),
        parts_total: parsed.load(parts, row.rate, app.capacity).parts,
        texts: parsed.into_texts(&row.message, parts)?,
        priority: if row.auto_priority {
            priority::by_size(recipients_total, app.capacity.bulk_above())
        } else {
            row.priority
        },
        recipients_total,
    })
}

/// Reads the schedule, and completes the options of the list as an append does.
async fn read_schedule(
    app: &App,
    id: Uuid,
    list: &mut List,
) -> Result<(Schedule, ListDefaults), ApiError> {
    let connection = &mut *app.db.acquire().await?;
    // Outside of a transaction it holds no lock, and waits for an append that is in progress.
    let schedule = Appendable::lock(connection, id).await?;
    let defaults = schedule.complete(&mut list.options)?;
    let row = load_schedule(connection, id).await?;
    Ok((row.ok_or_else(ApiError::no_such_schedule)?, defaults))
}

/// Returns the parts of a text without variables; 1 if the message has some.
fn fixed_parts(row: &Schedule) -> Result<u16, ApiError> {
    let template =
        Template::parse(&row.message).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(if template.is_some() { 1 } else { row.parts })
}
