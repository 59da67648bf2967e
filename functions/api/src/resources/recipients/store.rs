//! The statements that read `recipients` and its variables, references and groups;
//! [`crate::lists::store`] inserts the rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    batch::texts::read_variables,
    message::{place::Place, status::Status, template::Variables},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::page::{ListWalk, ROWS_PER_CALL},
    resources::schedules::store::places::{last_seq, skip_gap},
};

/// A recipient in an answer.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "RecipientRow")]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Recipient {
    pub seq: u32,
    pub phone: Option<String>,
    pub input: Option<String>,
    pub position: Option<u32>,
    /// The number of the call that brought the entry, from 1: `position` is one of its list. Null for
    /// schedules from before this was recorded.
    pub call: Option<u32>,
    #[schemars(with = "Status")]
    pub status: String,
    /// The number of requests that contained the message, including those that the carrier refused.
    pub attempt: u32,
    /// How many of them the carrier has accepted, or may have: the others were refused.
    pub sends: u32,
    /// How many of these were made after an earlier one, because that had failed or was lost.
    pub resends: u32,
    pub message_id: Option<String>,
    pub carrier_status: Option<String>,
    pub error: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub final_at: Option<DateTime<Utc>>,
}

/// Selects recipients.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecipientFilter {
    /// In this state.
    pub status: Option<Status>,
    /// Changed at this time or later, or on its way: what happens between the mark and the end of a
    /// message has no time of its own.
    pub changed_since: Option<DateTime<Utc>>,
}

/// Returns recipients of a part of a list.
pub async fn page_of_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    filter: RecipientFilter,
    walk: ListWalk,
) -> sqlx::Result<Vec<Recipient>> {
    let status = filter.status.map(Status::as_str);
    let mut recipients = sqlx::query_as!(
        Recipient,
        r#"SELECT seq, IF(phone LIKE '#%', NULL, phone) AS phone, input, position, NULL AS "call?: u32", status, attempt, sends AS "sends!: u32", resends, message_id, carrier_status, error,
             sent_at AS "sent_at: DateTime<Utc>", final_at AS "final_at: DateTime<Utc>"
           FROM recipients WHERE schedule_id = ? AND seq > ? AND seq <= ? AND (? IS NULL OR status = ?)
             AND (? IS NULL OR sent_at >= ? OR final_at >= ? OR (final_at IS NULL AND attempt > 0)) ORDER BY seq LIMIT ?"#,
        id,
        walk.after,
        walk.through,
        status,
        status,
        filter.changed_since,
        filter.changed_since,
        filter.changed_since,
        walk.limit
    )
    .fetch_all(&mut *connection)
    .await?;
    add_calls(connection, id, &mut recipients).await?;
    Ok(recipients)
}

/// Adds to recipients of a schedule which call brought them.
pub async fn add_calls(
    connection: &mut MySqlConnection,
    id: Uuid,
    recipients: &mut [Recipient],
) -> sqlx::Result<()> {
    let position = |recipient: &Recipient| Place::of(recipient.seq).position;
    let Some(last) = recipients.iter().map(position).max() else {
        return Ok(());
    };
    let calls = calls_before(connection, id, last).await?;
    for recipient in recipients {
        let at = calls.partition_point(|call| call.first_seq > position(recipient));
        recipient.call = calls.get(at).map(|call| call.call_no);
    }
    Ok(())
}

/// The call that brought the entries from `first_seq` on.
struct CallOfEntries {
    call_no: u32,
    first_seq: u32,
}

/// Returns the last calls whose entries begin at `seq` or before, the last one first: as many as can
/// have brought the rows of a page, each of them one at least.
async fn calls_before(
    connection: &mut MySqlConnection,
    id: Uuid,
    seq: u32,
) -> sqlx::Result<Vec<CallOfEntries>> {
    sqlx::query_as!(
        CallOfEntries,
        "SELECT call_no, first_seq FROM list_calls FORCE INDEX (by_seq)
         WHERE schedule_id = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT ?",
        id,
        seq,
        ROWS_PER_CALL + 1
    )
    .fetch_all(connection)
    .await
}

/// Returns after which place the next call continues, if it has to, and the last place of the list.
/// `found` are the places of the entries that this call returns.
pub async fn end_of_walk(
    connection: &mut MySqlConnection,
    id: Uuid,
    walk: ListWalk,
    found: impl ExactSizeIterator<Item = u32>,
) -> sqlx::Result<(Option<u32>, u32)> {
    let end = last_seq(&mut *connection, id).await?;
    let next = match walk.next(found, end) {
        Some(next) => Some(skip_gap(connection, id, next).await?),
        None => None,
    };
    Ok((next, end))
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
