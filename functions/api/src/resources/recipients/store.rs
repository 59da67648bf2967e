//! `recipients` and `recipient_variables`: lists are inserted in chunks of a few thousand entries,
//! and read page by page.

use std::{collections::HashMap, fmt::Write};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    batch::texts::read_variables,
    message::{phone::Phone, status::Status, template::Variables},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::http::page::PageRequest;

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

/// A recipient in an answer.
#[derive(Debug, JsonSchema, Serialize)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Recipient {
    pub seq: u32,
    pub phone: Option<String>,
    pub input: Option<String>,
    pub position: Option<u32>,
    #[schemars(with = "Status")]
    pub status: String,
    pub attempt: u32,
    pub resends: u32,
    pub message_id: Option<String>,
    pub carrier_status: Option<String>,
    pub error: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub final_at: Option<DateTime<Utc>>,
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

/// Returns recipients after a place, in one state or all. No index contains the state: a rare state
/// may cost a walk over the list.
pub async fn page_of_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    status: Option<Status>,
    page: PageRequest<u32>,
) -> sqlx::Result<Vec<Recipient>> {
    let status = status.map(Status::as_str);
    sqlx::query_as!(
        Recipient,
        r#"SELECT seq, phone, input, position, status, attempt, resends, message_id, carrier_status, error,
             sent_at AS "sent_at: DateTime<Utc>", final_at AS "final_at: DateTime<Utc>"
           FROM recipients WHERE schedule_id = ? AND seq > ? AND (? IS NULL OR status = ?) ORDER BY seq LIMIT ?"#,
        id,
        page.after,
        status,
        status,
        page.limit
    )
    .fetch_all(connection)
    .await
}

/// A recipient, and the variables of its text.
#[derive(Debug)]
pub struct Addressee {
    /// Its place in the list.
    pub seq: u32,
    /// Empty if the number came without variables.
    pub variables: Variables,
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

/// Returns the variables of recipients of many schedules.
pub async fn variables_of(
    connection: &mut MySqlConnection,
    named: &[(Uuid, u32)],
) -> sqlx::Result<HashMap<(Uuid, u32), Variables>> {
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let named: Vec<_> = named
        .iter()
        .map(|(id, seq)| (id.simple().to_string(), seq))
        .collect();
    let rows = sqlx::query!(
        r#"SELECT v.schedule_id AS "schedule_id: Uuid", v.seq, v.variables
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$[0]', seq INT UNSIGNED PATH '$[1]')) named
           STRAIGHT_JOIN recipient_variables v ON v.schedule_id = UNHEX(named.id) AND v.seq = named.seq"#,
        json!(named).to_string()
    );
    rows.fetch_all(connection)
        .await?
        .into_iter()
        .map(|row| Ok(((row.schedule_id, row.seq), read_variables(&row.variables)?)))
        .collect()
}

/// Returns the valid recipients after a place, with their variables.
pub async fn page_of_addressees(
    connection: &mut MySqlConnection,
    id: Uuid,
    page: PageRequest<u32>,
) -> sqlx::Result<Vec<Addressee>> {
    let rows = sqlx::query!(
        r#"SELECT r.seq, v.variables AS "variables?"
           FROM recipients r LEFT JOIN recipient_variables v ON v.schedule_id = r.schedule_id AND v.seq = r.seq
           WHERE r.schedule_id = ? AND r.seq > ? AND r.status <> 'INVALID' ORDER BY r.seq LIMIT ?"#,
        id,
        page.after,
        page.limit
    );
    let addressee = |seq, variables: Option<String>| {
        let variables = variables
            .as_deref()
            .map(read_variables)
            .transpose()?
            .unwrap_or_default();
        Ok(Addressee { seq, variables })
    };
    rows.fetch_all(connection)
        .await?
        .into_iter()
        .map(|row| addressee(row.seq, row.variables))
        .collect()
}
