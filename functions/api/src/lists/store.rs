//! The statements that insert a list into `recipients`, `recipient_variables` and
//! `recipient_references`, in chunks of a few thousand entries.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use shared::{
    batch::SeqRange,
    message::{phone::Phone, place::PLACES},
};
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

/// Returns the places of a range that have recipients to send to.
pub async fn added_seqs(
    connection: &mut MySqlConnection,
    id: Uuid,
    range: SeqRange,
) -> sqlx::Result<Vec<u32>> {
    let seqs = sqlx::query_scalar!(
        "SELECT seq FROM recipients WHERE schedule_id = ? AND seq >= ? AND seq < ? AND status <> 'INVALID'",
        id,
        range.first,
        range.last
    );
    seqs.fetch_all(connection).await
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

/// An entry whose number another recipient of the schedule has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNumber {
    /// The place of the entry.
    pub given: u32,
    /// The number.
    pub phone: String,
    /// The place of the recipient.
    pub seq: u32,
    /// The state of the recipient.
    pub status: String,
}

/// Returns those of these entries whose number a recipient at another place of the schedule has, in
/// their order.
pub async fn known_numbers(
    connection: &mut MySqlConnection,
    id: Uuid,
    rows: &[(u32, Phone)],
) -> sqlx::Result<Vec<KnownNumber>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|(seq, phone)| (seq, phone.to_string()))
        .collect();
    let known = sqlx::query_as!(
        KnownNumber,
        // Without the conversion from utf8mb4, the key of `phone` would not be used.
        r#"SELECT j.seq AS "given!: u32", r.phone AS "phone!", r.seq, r.status
           FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$[0]', phone VARCHAR(16) PATH '$[1]')) j
           STRAIGHT_JOIN recipients r FORCE INDEX (phone_once)
             ON r.phone = CONVERT(j.phone USING ascii) AND r.schedule_id = ? AND r.seq <> j.seq"#,
        json!(rows).to_string(),
        id
    );
    let mut known = known.fetch_all(connection).await?;
    known.sort_unstable_by_key(|known| known.given);
    Ok(known)
}

/// A reference that a recipient of the schedule has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownReference {
    /// The place of the reference among those that were asked for.
    pub given: u32,
    /// The place of the recipient.
    pub seq: u32,
    /// Its number.
    pub phone: String,
    /// Its state.
    pub status: String,
}

/// Returns those of these references that a recipient of a schedule has. The index ignores case, the
/// comparison does not.
pub async fn known_references(
    connection: &mut MySqlConnection,
    id: Uuid,
    references: &[(u32, &str)],
) -> sqlx::Result<Vec<KnownReference>> {
    if references.is_empty() {
        return Ok(Vec::new());
    }
    let known = sqlx::query_as!(
        KnownReference,
        r#"SELECT j.given AS "given!: u32", r.seq, r.phone AS "phone!", r.status
           FROM JSON_TABLE(?, '$[*]' COLUMNS (given INT UNSIGNED PATH '$[0]', reference VARCHAR(64) PATH '$[1]')) j
           STRAIGHT_JOIN recipient_references n FORCE INDEX (by_reference)
             ON n.reference = j.reference COLLATE utf8mb4_unicode_520_ci AND n.schedule_id = ?
               AND n.reference COLLATE utf8mb4_bin = j.reference COLLATE utf8mb4_bin
           STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = n.seq"#,
        json!(references).to_string(),
        id,
        id
    );
    known.fetch_all(connection).await
}

/// A number that a recipient of the schedule has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct TakenNumber {
    pub phone: String,
    pub copy: u8,
}

/// Returns those of these numbers that recipients of a schedule have, once for each recipient.
pub async fn copies_of(
    connection: &mut MySqlConnection,
    id: Uuid,
    phones: &[String],
) -> sqlx::Result<Vec<TakenNumber>> {
    if phones.is_empty() {
        return Ok(Vec::new());
    }
    let taken = sqlx::query_as!(
        TakenNumber,
        // Without the conversion from utf8mb4, the key of `phone` would not be used.
        r#"SELECT r.phone AS "phone!", r.copy
           FROM JSON_TABLE(?, '$[*]' COLUMNS (phone VARCHAR(16) PATH '$')) j
           STRAIGHT_JOIN recipients r FORCE INDEX (phone_once) ON r.phone = CONVERT(j.phone USING ascii) AND r.schedule_id = ?"#,
        json!(phones).to_string(),
        id
    );
    taken.fetch_all(connection).await
}

/// Inserts recipients at places that [`super::copies::free_places`] has found. A place that is taken
/// is an error: nobody is left out.
pub async fn insert_copies(
    connection: &mut MySqlConnection,
    id: Uuid,
    rows: &[(u32, Phone)],
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<_> = rows
        .iter()
        .map(|(seq, phone)| (phone.to_string(), seq))
        .collect();
    // In the order of the index of numbers, which is faster.
    rows.sort_unstable();
    let done = sqlx::query!(
        "INSERT INTO recipients (schedule_id, seq, phone, copy)
         SELECT ?, j.seq, j.phone, j.seq DIV ?
         FROM JSON_TABLE(?, '$[*]' COLUMNS (phone VARCHAR(16) PATH '$[0]', seq INT UNSIGNED PATH '$[1]')) j",
        id,
        PLACES,
        json!(rows).to_string()
    );
    done.execute(connection).await.map(drop)
}

/// Removes recipients that have not been sent to, in a schedule that is not cut.
pub async fn remove_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE r FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j
         STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = j.seq AND r.status = 'PENDING'",
        json!(seqs).to_string(),
        id
    );
    done.execute(connection).await.map(drop)
}

/// Removes the variables of recipients.
pub async fn remove_variables(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE v FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j
         STRAIGHT_JOIN recipient_variables v ON v.schedule_id = ? AND v.seq = j.seq",
        json!(seqs).to_string(),
        id
    );
    done.execute(connection).await.map(drop)
}

/// Removes the references and groups of recipients.
pub async fn remove_names(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE n FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j
         STRAIGHT_JOIN recipient_references n ON n.schedule_id = ? AND n.seq = j.seq",
        json!(seqs).to_string(),
        id
    );
    done.execute(connection).await.map(drop)
}
