//! The statements that cancel and change single recipients, under the locks of the schedule, then
//! the batch, then the recipients.

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::{
    message::{phone::Phone, status::Status},
    platform::queue::BatchMessage,
    schedule::lifecycle::reopen_schedule,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::edit::NameEdit;
use crate::resources::uncertain::store::{LockedBatch, recount_batch};

/// A recipient, locked.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct LockedRecipient {
    pub seq: u32,
    pub status: Status,
    pub resends: u32,
}

impl LockedRecipient {
    /// Returns whether no request has carried the message, or may have.
    pub fn is_in_time(&self) -> bool {
        self.status == Status::Pending && self.resends == 0
    }
}

/// The recipients of a schedule that have a reference.
#[derive(Clone, Copy, Debug)]
pub struct ReferencePlaces {
    /// The place of the reference among those that were asked for.
    pub at: u32,
    /// The first place in the list; `None`: no recipient has it.
    pub first: Option<u32>,
    /// The last place in the list.
    pub last: Option<u32>,
}

/// Returns the first and the last recipient of a schedule with each of these references. The index
/// ignores case, the comparison does not.
pub async fn places_of_references(
    connection: &mut MySqlConnection,
    id: Uuid,
    references: &[(usize, &str)],
) -> sqlx::Result<Vec<ReferencePlaces>> {
    let found = sqlx::query_as!(
        ReferencePlaces,
        r#"SELECT j.at AS "at!: u32",
             (SELECT MIN(f.seq) FROM recipient_references f FORCE INDEX (by_reference)
              WHERE f.reference = j.reference COLLATE utf8mb4_unicode_520_ci AND f.schedule_id = ?
                AND f.reference COLLATE utf8mb4_bin = j.reference COLLATE utf8mb4_bin) AS first,
             (SELECT MAX(l.seq) FROM recipient_references l FORCE INDEX (by_reference)
              WHERE l.reference = j.reference COLLATE utf8mb4_unicode_520_ci AND l.schedule_id = ?
                AND l.reference COLLATE utf8mb4_bin = j.reference COLLATE utf8mb4_bin) AS last
           FROM JSON_TABLE(?, '$[*]' COLUMNS (at INT UNSIGNED PATH '$[0]', reference VARCHAR(64) PATH '$[1]')) j"#,
        id,
        id,
        json!(references).to_string()
    );
    found.fetch_all(connection).await
}

/// Locks and returns those of these recipients that exist.
pub async fn lock_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
) -> sqlx::Result<Vec<LockedRecipient>> {
    let rows = sqlx::query!(
        // MySQL refuses FOR UPDATE beside a JSON_TABLE that is not in a subquery of its own.
        "SELECT r.seq, r.status, r.resends
           FROM (SELECT DISTINCT j.seq FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j) named
           STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = named.seq FOR UPDATE",
        json!(seqs).to_string(),
        id
    );
    let rows = rows.fetch_all(connection).await?.into_iter().map(|row| {
        let status = Status::parse(&row.status)
            .ok_or_else(|| sqlx::Error::Decode(format!("no status {}", row.status).into()))?;
        Ok(LockedRecipient {
            seq: row.seq,
            status,
            resends: row.resends,
        })
    });
    rows.collect()
}

/// Cancels recipients that no request has carried. Returns the number of rows.
pub async fn cancel_recipients(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) j
         SET r.status = 'CANCELLED', r.error = NULL, r.final_at = ?
         WHERE r.schedule_id = ? AND r.seq = j.seq AND r.status = 'PENDING' AND r.resends = 0",
        json!(seqs).to_string(),
        now,
        id
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// Counts recipients that were cancelled before the cut.
pub async fn count_cancelled(
    connection: &mut MySqlConnection,
    id: Uuid,
    count: u64,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET cancelled_count = cancelled_count + ? WHERE id = ?",
        count,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Returns whether a batch has a claim, valid or expired. Its row is locked.
pub async fn is_claimed(
    connection: &mut MySqlConnection,
    batch: BatchMessage,
) -> sqlx::Result<bool> {
    let claimed = sqlx::query_scalar!(
        r#"SELECT claim_token IS NOT NULL AS "claimed!: bool" FROM batches WHERE schedule_id = ? AND batch_no = ? FOR UPDATE"#,
        batch.schedule_id,
        batch.batch_no
    );
    claimed.fetch_one(connection).await
}

/// Counts a batch, ends its claim if it has one, and makes it due for a recheck, which publishes
/// what has ended and enqueues what is left to send. A batch of which nothing is held any more is not
/// missed, and its schedule runs until that recheck.
///
/// An owner that loses the batch here has not crashed, so its claim does not count.
pub async fn take_batch(
    connection: &mut MySqlConnection,
    batch: BatchMessage,
    locked: &LockedBatch,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = batch;
    sqlx::query!(
        "UPDATE batches SET crashes = crashes - 1, tries = IF(tries > 0, tries - 1, 0)
         WHERE schedule_id = ? AND batch_no = ? AND claimed_until >= ? AND crashes > 0",
        schedule_id,
        batch_no,
        now
    )
    .execute(&mut *connection)
    .await?;
    recount_batch(connection, schedule_id, batch_no, locked, now).await?;
    let released = sqlx::query!(
        "UPDATE batches SET missed_at = NULL WHERE schedule_id = ? AND batch_no = ? AND missed_at IS NOT NULL AND pending = 0",
        schedule_id,
        batch_no
    );
    if released.execute(&mut *connection).await?.rows_affected() > 0 {
        reopen_schedule(connection, schedule_id).await?;
    }
    Ok(())
}

/// Gives a recipient another number.
pub async fn change_phone(
    connection: &mut MySqlConnection,
    id: Uuid,
    seq: u32,
    phone: Phone,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE recipients SET phone = ? WHERE schedule_id = ? AND seq = ?",
        phone.to_string(),
        id,
        seq
    );
    done.execute(connection).await.map(drop)
}

/// Gives a recipient another reference, another group, or both. A recipient that has neither has no
/// row.
pub async fn change_names(
    connection: &mut MySqlConnection,
    id: Uuid,
    seq: u32,
    names: &NameEdit,
) -> sqlx::Result<()> {
    let (reference, group) = (
        names.reference.as_ref().map(Option::as_deref),
        names.group.as_ref().map(Option::as_deref),
    );
    sqlx::query!(
        "INSERT INTO recipient_references (schedule_id, seq, reference, group_name) VALUES (?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE reference = IF(?, ?, reference), group_name = IF(?, ?, group_name)",
        id,
        seq,
        reference.flatten(),
        group.flatten(),
        reference.is_some(),
        reference.flatten(),
        group.is_some(),
        group.flatten()
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!(
        "DELETE FROM recipient_references WHERE schedule_id = ? AND seq = ? AND reference IS NULL AND group_name IS NULL",
        id,
        seq
    );
    done.execute(connection).await.map(drop)
}

/// Replaces the variables of a recipient; an empty text deletes them. A text of more parts raises
/// those of its schedule.
pub async fn change_variables(
    connection: &mut MySqlConnection,
    id: Uuid,
    seq: u32,
    variables: &str,
    parts: u16,
) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM recipient_variables WHERE schedule_id = ? AND seq = ?",
        id,
        seq
    )
    .execute(&mut *connection)
    .await?;
    if !variables.is_empty() {
        sqlx::query!(
            "INSERT INTO recipient_variables (schedule_id, seq, variables) VALUES (?, ?, ?)",
            id,
            seq,
            variables
        )
        .execute(&mut *connection)
        .await?;
    }
    let done = sqlx::query!(
        "UPDATE schedules SET parts = GREATEST(parts, ?) WHERE id = ?",
        parts,
        id
    );
    done.execute(connection).await.map(drop)
}
