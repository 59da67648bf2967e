//! The statements that insert a list into `recipients`, `recipient_variables` and
//! `recipient_references`, in chunks of a few thousand entries.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use shared::message::phone::Phone;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::lists::names::EntryNames;

/// An entry that is no valid number, kept for the report.
#[derive(Debug)]
pub struct InvalidEntry<'a> {
    /// Its place in the list.
    pub seq: u32,
    /// Its line or index in the call.
    pub position: u32,
    /// The given text, at most 64 characters.
    pub input: &'a str,
    /// Why it is not valid: a code, at most 64 characters.
    pub code: &'a str,
}

/// Inserts numbers, each at its place, except those that the schedule has already. Returns how many
/// were new. They are counted from the rows between the first and the last place, which must be
/// unused before, because `CLIENT_FOUND_ROWS` makes an insert and a duplicate report the same.
pub async fn insert_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    rows: &[(u32, Phone)],
) -> sqlx::Result<u32> {
    let seqs = rows.iter().map(|(seq, _)| *seq);
    let (Some(first), Some(last)) = (seqs.clone().min(), seqs.max()) else {
        return Ok(0);
    };
    let mut json = String::with_capacity(rows.len() * 28);
    for (seq, phone) in rows {
        let comma = if json.is_empty() { '[' } else { ',' };
        // Writing to a `String` never fails.
        let _ = write!(json, "{comma}[{seq},\"{phone}\"]");
    }
    json.push(']');
    sqlx::query!(
        "INSERT INTO recipients (schedule_id, seq, phone)
         SELECT ?, j.seq, j.phone
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$[0]', phone VARCHAR(16) PATH '$[1]')) j
         ON DUPLICATE KEY UPDATE seq = recipients.seq -- in this schedule already: stays as it is",
        id,
        json
    )
    .execute(&mut *connection)
    .await?;
    let new = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "new!: i64" FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?"#,
        id,
        first,
        last
    )
    .fetch_one(connection)
    .await?;
    Ok(new as u32)
}

/// Inserts entries that are no valid numbers, in a final state.
pub async fn insert_invalid_entries(
    connection: &mut MySqlConnection,
    id: Uuid,
    entries: &[InvalidEntry<'_>],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| (entry.seq, entry.position, entry.input, entry.code))
        .collect();
    sqlx::query!(
        "INSERT INTO recipients (schedule_id, seq, position, input, status, error, final_at)
         SELECT ?, j.seq, j.position, j.input, 'INVALID', j.code, ?
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$[0]', position INT UNSIGNED PATH '$[1]',
           input VARCHAR(64) PATH '$[2]', code VARCHAR(64) PATH '$[3]')) j",
        id,
        now,
        serde_json::json!(rows).to_string()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts variables, each a JSON object, for those of these places that a recipient has; the other
/// places are duplicates.
pub async fn insert_variables(
    connection: &mut MySqlConnection,
    id: Uuid,
    rows: &[(u32, &str)],
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "INSERT INTO recipient_variables (schedule_id, seq, variables)
         SELECT ?, j.seq, j.variables
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$[0]', variables TEXT PATH '$[1]')) j
         STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = j.seq",
        id,
        json!(rows).to_string(),
        id
    );
    done.execute(connection).await.map(drop)
}

/// The reference and the group of an entry.
#[derive(Debug, Serialize)]
pub struct NamedEntry<'a> {
    /// Its place in the list.
    #[serde(rename = "q")]
    seq: u32,
    #[serde(rename = "r")]
    reference: Option<&'a str>,
    #[serde(rename = "g")]
    group: Option<&'a str>,
}

impl<'a> NamedEntry<'a> {
    /// Returns the names of the entry at this place.
    pub fn new(seq: u32, names: &'a EntryNames) -> Self {
        Self {
            seq,
            reference: names.reference.as_deref(),
            group: names.group.as_deref(),
        }
    }
}

/// Inserts references and groups for those of these places that a recipient has; the other places
/// are duplicates.
pub async fn insert_names(
    connection: &mut MySqlConnection,
    id: Uuid,
    rows: &[NamedEntry<'_>],
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "INSERT INTO recipient_references (schedule_id, seq, reference, group_name)
         SELECT ?, j.seq, j.reference, j.group_name
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$.q', reference VARCHAR(64) PATH '$.r', group_name VARCHAR(64) PATH '$.g')) j
         STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = j.seq",
        id,
        json!(rows).to_string(),
        id
    );
    done.execute(connection).await.map(drop)
}
