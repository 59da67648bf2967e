//! `recipients` across schedules: messages of a number, of a schedule, or of a time, with their
//! earlier attempts.

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::message::status::Status;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::page::{ListWalk, PageRequest},
    resources::recipients::{
        found::FoundRecipient, names::RecipientKey, report::store::ReportFilter,
    },
};

/// The number of schedules that one call reads. A page may be short, or empty, and still not be the
/// last.
pub const SCHEDULES: u32 = 20;

/// A message in an answer.
#[derive(Debug, JsonSchema, Serialize)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
#[schemars(rename = "MessageRow")]
pub struct Message {
    pub schedule_id: Uuid,
    pub seq: u32,
    /// Null: it is erased.
    pub phone: Option<String>,
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

impl Message {
    /// Returns its place.
    pub const fn key(&self) -> RecipientKey {
        RecipientKey {
            schedule_id: self.schedule_id,
            seq: self.seq,
        }
    }
}

impl From<FoundRecipient> for Message {
    fn from(found: FoundRecipient) -> Self {
        Self {
            schedule_id: found.schedule_id,
            seq: found.seq,
            phone: found.phone,
            status: found.status,
            attempt: found.attempt,
            sends: found.sends,
            resends: found.resends,
            message_id: found.message_id,
            carrier_status: found.carrier_status,
            error: found.error,
            sent_at: found.sent_at,
            final_at: found.final_at,
        }
    }
}

/// An attempt that was followed by another.
#[derive(Debug, JsonSchema, Serialize)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct EarlierAttempt {
    #[serde(skip)]
    pub schedule_id: Uuid,
    #[serde(skip)]
    pub seq: u32,
    pub attempt: u32,
    #[schemars(with = "Status")]
    pub status: String,
    pub message_id: Option<String>,
    pub carrier_status: Option<String>,
    pub error: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub final_at: Option<DateTime<Utc>>,
}

/// Selects messages. Both bounds apply to `sent_at`; with either of them, messages that were never
/// sent are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageFilter {
    /// In this state.
    pub status: Option<Status>,
    /// Sent at or after.
    pub from: Option<DateTime<Utc>>,
    /// Sent before.
    pub to: Option<DateTime<Utc>>,
    /// Changed at this time or later, or on its way.
    pub changed_since: Option<DateTime<Utc>>,
}

impl MessageFilter {
    /// Returns the same as a filter of recipients: an INVALID entry is no message.
    pub fn of_list<'a>(self) -> ReportFilter<'a> {
        ReportFilter {
            status: self.status,
            from: self.from,
            to: self.to,
            changed_since: self.changed_since,
            ..ReportFilter::default()
        }
    }

    /// Returns since when a schedule must not have been finished, to have messages that match. A
    /// message that changes in a finished schedule reopens it. The clocks of two functions may differ
    /// by some milliseconds.
    pub fn unfinished_since(&self) -> Option<DateTime<Utc>> {
        let changed = self.changed_since;
        let changed = changed.and_then(|since| since.checked_sub_signed(TimeDelta::minutes(1)));
        self.from.max(changed)
    }
}

/// Returns the messages to a number, as [`messages_of_phone`] does. `forms`: how the column names the
/// number: as it is, and as the hash that has replaced it in a schedule whose personal data is erased.
pub async fn messages_of_person(
    connection: &mut MySqlConnection,
    forms: &[String],
    filter: MessageFilter,
    page: PageRequest<RecipientKey>,
) -> sqlx::Result<Vec<Message>> {
    let mut messages = Vec::new();
    for form in forms {
        messages.extend(messages_of_phone(connection, form, filter, page).await?);
    }
    messages.sort_unstable_by_key(|message| Reverse((message.schedule_id, message.seq)));
    messages.truncate(page.limit as usize);
    Ok(messages)
}

/// Returns the messages to a number, its newest schedule first, and the last place of a schedule
/// first. They follow `page.after` in this order.
async fn messages_of_phone(
    connection: &mut MySqlConnection,
    phone: &str,
    filter: MessageFilter,
    page: PageRequest<RecipientKey>,
) -> sqlx::Result<Vec<Message>> {
    let status = filter.status.map(Status::as_str);
    sqlx::query_as!(
        Message,
        r#"SELECT schedule_id AS "schedule_id: Uuid", seq, IF(phone LIKE '#%', NULL, phone) AS phone, status, attempt, sends AS "sends!: u32", resends, message_id, carrier_status, error,
             sent_at AS "sent_at: DateTime<Utc>", final_at AS "final_at: DateTime<Utc>"
           FROM recipients FORCE INDEX (phone_once)
           WHERE phone = ? AND schedule_id <= ? AND (schedule_id < ? OR seq < ?) AND (? IS NULL OR status = ?) AND (? IS NULL OR sent_at >= ?)
             AND (? IS NULL OR sent_at < ?)
             AND (? IS NULL OR sent_at >= ? OR final_at >= ? OR (final_at IS NULL AND attempt > 0))
           ORDER BY schedule_id DESC, copy DESC LIMIT ?"#,
        phone,
        page.after.schedule_id,
        page.after.schedule_id,
        page.after.seq,
        status,
        status,
        filter.from,
        filter.from,
        filter.to,
        filter.to,
        filter.changed_since,
        filter.changed_since,
        filter.changed_since,
        page.limit
    )
    .fetch_all(connection)
    .await
}

/// Returns the messages of a part of a schedule's list, without INVALID entries.
pub async fn messages_of_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    filter: MessageFilter,
    walk: ListWalk,
) -> sqlx::Result<Vec<Message>> {
    let status = filter.status.map(Status::as_str);
    sqlx::query_as!(
        Message,
        r#"SELECT schedule_id AS "schedule_id: Uuid", seq, IF(phone LIKE '#%', NULL, phone) AS phone, status, attempt, sends AS "sends!: u32", resends, message_id, carrier_status, error,
             sent_at AS "sent_at: DateTime<Utc>", final_at AS "final_at: DateTime<Utc>"
           FROM recipients
           WHERE schedule_id = ? AND seq > ? AND seq <= ? AND status <> 'INVALID' AND (? IS NULL OR status = ?) AND (? IS NULL OR sent_at >= ?)
             AND (? IS NULL OR sent_at < ?)
             AND (? IS NULL OR sent_at >= ? OR final_at >= ? OR (final_at IS NULL AND attempt > 0))
           ORDER BY seq LIMIT ?"#,
        id,
        walk.after,
        walk.through,
        status,
        status,
        filter.from,
        filter.from,
        filter.to,
        filter.to,
        filter.changed_since,
        filter.changed_since,
        filter.changed_since,
        walk.limit
    )
    .fetch_all(connection)
    .await
}

/// A schedule that may have messages of that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Candidate {
    pub id: Uuid,
    pub run_at: DateTime<Utc>,
}

/// Returns schedules by their planned time, the latest first, from `before` on (inclusive), that
/// may have sent messages since `from`.
pub async fn schedules_by_time(
    connection: &mut MySqlConnection,
    before: Candidate,
    from: Option<DateTime<Utc>>,
    limit: u32,
) -> sqlx::Result<Vec<Candidate>> {
    sqlx::query_as!(
        Candidate,
        r#"SELECT id AS "id: Uuid", run_at AS "run_at: DateTime<Utc>" FROM schedules FORCE INDEX (by_time)
           WHERE (run_at < ? OR (run_at = ? AND id <= ?)) AND run_at <= ? AND (? IS NULL OR finished_at IS NULL OR finished_at >= ?)
           ORDER BY run_at DESC, id DESC LIMIT ?"#,
        before.run_at,
        before.run_at,
        before.id,
        before.run_at,
        from,
        from,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Returns the earlier attempts of these messages, in order per message.
pub async fn earlier_attempts(
    connection: &mut MySqlConnection,
    messages: &[Message],
) -> sqlx::Result<Vec<EarlierAttempt>> {
    // A first attempt has no earlier one.
    let retried = messages.iter().filter(|message| message.attempt > 1);
    let names: Vec<_> = retried
        .map(|message| (message.schedule_id.simple().to_string(), message.seq))
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut attempts = sqlx::query_as!(
        EarlierAttempt,
        r#"SELECT a.schedule_id AS "schedule_id: Uuid", a.seq, a.attempt, a.status, a.message_id, a.carrier_status, a.error,
             a.sent_at AS "sent_at: DateTime<Utc>", a.final_at AS "final_at: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$[0]', seq INT UNSIGNED PATH '$[1]')) named
           STRAIGHT_JOIN attempts a ON a.schedule_id = UNHEX(named.id) AND a.seq = named.seq"#,
        serde_json::json!(names).to_string()
    )
    .fetch_all(connection)
    .await?;
    attempts.sort_unstable_by_key(|attempt| (attempt.schedule_id, attempt.seq, attempt.attempt));
    Ok(attempts)
}
