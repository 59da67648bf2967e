//! Erases what is known of recipients: numbers, texts, variables, references and the carrier's ids.
//!
//! A number becomes its keyed hash, in the same column: the keys that hold for numbers hold for
//! hashes, and the messages of a number are still found. Status, times and parts stay, so that counts
//! add up.
//!
//! It is only about recipients that are never sent to again, which the caller ensures under the lock
//! of the schedule. If it runs twice, the second run finds nothing.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::schedule::status::ScheduleStatus;

/// Values that were erased, by table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "named as the tables")]
pub struct ErasedValues {
    pub recipients: u64,
    pub attempts: u64,
    pub variables: u64,
    pub references: u64,
}

impl ErasedValues {
    /// Adds what another step has erased.
    pub const fn add(&mut self, other: Self) {
        self.recipients += other.recipients;
        self.attempts += other.attempts;
        self.variables += other.variables;
        self.references += other.references;
    }
}

/// A recipient to be erased: its place in the list, and the hash of its number. An entry that is no
/// number has none.
pub type ErasedRecipient = (u32, Option<String>);

/// Erases recipients of one part of a list, in the order of their places: these, and everything that
/// other tables know of the places from the first of them to the last.
pub async fn erase_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    recipients: &[ErasedRecipient],
) -> sqlx::Result<ErasedValues> {
    let (Some((first, _)), Some((last, _))) = (recipients.first(), recipients.last()) else {
        return Ok(ErasedValues::default());
    };
    let (first, last) = (*first, *last);
    Ok(ErasedValues {
        recipients: erase_numbers(connection, id, recipients).await?,
        attempts: erase_attempts(connection, id, first, last).await?,
        variables: delete_variables(connection, id, first, last).await?,
        references: erase_references(connection, id, first, last).await?,
    })
}

/// What the carrier has called a message or an error is replaced, where it may name the person: an
/// id is found in the carrier's own records, beside the number. It stays recognisable that there was
/// one, because the constraints and the counts of requests depend on it.
async fn erase_numbers(
    connection: &mut MySqlConnection,
    id: Uuid,
    recipients: &[ErasedRecipient],
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$[0]', hash VARCHAR(16) PATH '$[1]')) j
         SET r.phone = j.hash, r.input = NULL, r.id_start = IF(COALESCE(r.id_start, '') = '', r.id_start, 'erased'), r.id_rest = NULL,
           r.carrier_status = IF(r.carrier_status REGEXP '[0-9]{6}', 'erased', r.carrier_status),
           r.error = IF(r.error REGEXP '[0-9]{6}', 'erased', r.error)
         WHERE r.schedule_id = ? AND r.seq = j.seq AND (r.phone LIKE '+%' OR r.input IS NOT NULL)",
        json!(recipients).to_string(),
        id
    );
    Ok(done.execute(connection).await?.rows_affected())
}

async fn erase_attempts(
    connection: &mut MySqlConnection,
    id: Uuid,
    first: u32,
    last: u32,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE attempts SET message_id = IF(COALESCE(message_id, '') = '', message_id, 'erased'),
           carrier_status = IF(carrier_status REGEXP '[0-9]{6}', 'erased', carrier_status),
           error = IF(error REGEXP '[0-9]{6}', 'erased', error)
         WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND COALESCE(message_id, '') <> 'erased'",
        id,
        first,
        last
    );
    Ok(done.execute(connection).await?.rows_affected())
}

async fn delete_variables(
    connection: &mut MySqlConnection,
    id: Uuid,
    first: u32,
    last: u32,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM recipient_variables WHERE schedule_id = ? AND seq BETWEEN ? AND ?",
        id,
        first,
        last
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// The group stays: it is no person, and reports count by it.
async fn erase_references(
    connection: &mut MySqlConnection,
    id: Uuid,
    first: u32,
    last: u32,
) -> sqlx::Result<u64> {
    let emptied = sqlx::query!(
        "UPDATE recipient_references FORCE INDEX (PRIMARY) SET reference = NULL
         WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND reference IS NOT NULL AND group_name IS NOT NULL",
        id,
        first,
        last
    );
    let emptied = emptied.execute(&mut *connection).await?.rows_affected();
    let deleted = sqlx::query!(
        "DELETE FROM recipient_references WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND group_name IS NULL",
        id,
        first,
        last
    );
    Ok(emptied + deleted.execute(connection).await?.rows_affected())
}

/// Erases what is left when every recipient of a schedule is erased: the text, the reasons that
/// people have given, and the hashes of its lists and of what was approved, from which a short list could be guessed.
pub async fn erase_texts(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE list_calls SET hash = UNHEX(SHA2(CONCAT(HEX(schedule_id), '-', call_no), 256)) WHERE schedule_id = ?",
        id
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE schedule_approvals SET list_hash = NULL, is_hashed = 0,
           approved_hash = IF(approved_hash IS NULL, NULL, UNHEX(SHA2(HEX(schedule_id), 256))) WHERE schedule_id = ?",
        id
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!(
        "UPDATE schedules SET message = '', reason = NULL, pause_reason = IF(pause_reason REGEXP '[0-9]{6}', 'erased', pause_reason),
           erased_to_seq = next_seq, personal_data_erased_at = ? WHERE id = ?",
        now,
        id
    );
    done.execute(connection).await.map(drop)
}

/// A schedule whose recipients may be erased.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct ErasableSchedule {
    pub status: ScheduleStatus,
    pub recipient_count: u32,
    pub invalid_count: u32,
    pub erased_to_seq: Option<u32>,
    pub personal_data_erased_at: Option<DateTime<Utc>>,
    pub resends_until: Option<DateTime<Utc>>,
    pub is_open: bool,
    pub is_uncertain: bool,
}

impl ErasableSchedule {
    /// Returns whether nothing of it is sent, checked or decided any more: it is finished or
    /// cancelled, no batch has anything to do, and no operator has to decide about a message.
    pub const fn is_over(&self) -> bool {
        matches!(
            self.status,
            ScheduleStatus::Finished | ScheduleStatus::Cancelled
        ) && !self.is_open
            && !self.is_uncertain
    }

    /// Returns whether nothing of it is sent again either, even if a late receipt makes it run again:
    /// it is cancelled, or the time for resends has passed.
    pub fn is_never_resent(&self, now: DateTime<Utc>) -> bool {
        self.is_over()
            && (self.status == ScheduleStatus::Cancelled
                || self.resends_until.is_some_and(|until| until < now))
    }
}

/// Locks a schedule, and reads whether its recipients may be erased. The lock is the one that each
/// change of its state takes. A batch is planned before its schedule finishes, so that
/// `resend_within_s` after the finish no message of it is sent again.
pub async fn lock_erasable(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<ErasableSchedule>> {
    let found = sqlx::query!(
        r#"SELECT status AS "status: ScheduleStatus", recipient_count, invalid_count, erased_to_seq,
             personal_data_erased_at AS "erased_at: DateTime<Utc>",
             finished_at + INTERVAL resend_within_s SECOND AS "resends_until: DateTime<Utc>"
           FROM schedules WHERE id = ? FOR UPDATE"#,
        id
    );
    let Some(row) = found.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let open = sqlx::query!(
        r#"SELECT EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = ? AND b.sweep_at IS NOT NULL) AS "is_open!: bool",
             EXISTS (SELECT 1 FROM batches u FORCE INDEX (with_uncertain) WHERE u.schedule_id = ? AND u.uncertain > 0) AS "is_uncertain!: bool""#,
        id,
        id
    );
    let open = open.fetch_one(connection).await?;
    Ok(Some(ErasableSchedule {
        status: row.status,
        recipient_count: row.recipient_count,
        invalid_count: row.invalid_count,
        erased_to_seq: row.erased_to_seq,
        personal_data_erased_at: row.erased_at,
        resends_until: row.resends_until,
        is_open: open.is_open,
        is_uncertain: open.is_uncertain,
    }))
}
