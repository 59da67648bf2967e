//! `schedule_approvals`: the schedules that need an approval, and what was approved.

use chrono::{DateTime, Utc};
use shared::{
    access::Role,
    schedule::{start::Start, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::rule::Reason;

/// The length of a SHA-256.
pub const HASH_BYTES: usize = 32;

/// A row of `schedule_approvals`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Approval {
    pub asked_by: String,
    pub asked_at: DateTime<Utc>,
    pub list_version: u32,
    pub list_hash: Option<Vec<u8>>,
    pub hashed_seq: u32,
    pub is_hashed: bool,
    pub approved_hash: Option<Vec<u8>>,
    pub approved_by: Option<String>,
    pub approved_at: Option<DateTime<Utc>>,
}

impl Approval {
    /// Returns the row that [`insert_approval`] writes.
    pub const fn new(asked_by: String, asked_at: DateTime<Utc>) -> Self {
        Self {
            asked_by,
            asked_at,
            list_version: 1,
            list_hash: None,
            hashed_seq: 0,
            is_hashed: false,
            approved_hash: None,
            approved_by: None,
            approved_at: None,
        }
    }

    /// Returns the hash of the whole list, if it is computed.
    pub fn whole_list_hash(&self) -> Option<&[u8]> {
        self.list_hash.as_deref().filter(|_| self.is_hashed)
    }
}

/// A schedule that may need an approval.
pub struct Guarded {
    /// `schedules.status`
    pub status: ScheduleStatus,
    /// `schedules.recipient_count`
    pub recipient_count: u32,
    /// `None`: it needs no approval, as far as is known.
    pub approval: Option<Approval>,
}

/// Reads the schedule whose row the transaction has locked, and its approval.
pub async fn read_guarded(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Guarded>> {
    let row = sqlx::query!(
        r#"SELECT status AS "status: ScheduleStatus", recipient_count FROM schedules WHERE id = ?"#,
        id
    );
    let Some(row) = row.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    Ok(Some(Guarded {
        status: row.status,
        recipient_count: row.recipient_count,
        approval: read_approval(connection, id).await?.map(|(row, _)| row),
    }))
}

/// Reads the approval of a schedule, and why it is needed; `None`: it needs none.
pub async fn read_approval(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<(Approval, String)>> {
    let row = sqlx::query!(
        r#"SELECT reason, asked_by, asked_at AS "asked_at: DateTime<Utc>", list_version, list_hash AS "list_hash: Vec<u8>", hashed_seq,
             is_hashed AS "is_hashed: bool", approved_hash AS "approved_hash: Vec<u8>", approved_by, approved_at AS "approved_at: DateTime<Utc>"
           FROM schedule_approvals WHERE schedule_id = ?"#,
        id
    );
    Ok(row.fetch_optional(connection).await?.map(|row| {
        let approval = Approval {
            asked_by: row.asked_by,
            asked_at: row.asked_at,
            list_version: row.list_version,
            list_hash: row.list_hash,
            hashed_seq: row.hashed_seq,
            is_hashed: row.is_hashed,
            approved_hash: row.approved_hash,
            approved_by: row.approved_by,
            approved_at: row.approved_at,
        };
        (approval, row.reason)
    }))
}

/// Returns whether a schedule needs an approval.
pub async fn is_needed(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<bool> {
    Ok(read_approval(connection, id).await?.is_some())
}

/// Inserts the approval that a schedule needs from now on.
pub async fn insert_approval(
    connection: &mut MySqlConnection,
    id: Uuid,
    reason: Reason,
    asked_by: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO schedule_approvals (schedule_id, reason, asked_by, asked_at) VALUES (?, ?, ?, ?)",
        id,
        reason.as_str(),
        asked_by,
        now
    );
    done.execute(connection).await.map(drop)
}

/// Discards the hash of a list that has changed.
pub async fn reset_list_hash(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedule_approvals SET list_version = list_version + 1, list_hash = NULL, hashed_seq = 0, is_hashed = 0
         WHERE schedule_id = ?",
        id
    );
    done.execute(connection).await.map(drop)
}

/// Moves scheduled → awaiting-approval. What was approved before counts no more, and the list is
/// hashed anew: recipients may have been cancelled since.
pub async fn hold(
    connection: &mut MySqlConnection,
    id: Uuid,
    asked_by: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedules SET status = 'awaiting-approval' WHERE id = ? AND status = 'scheduled' AND batch_count IS NULL",
        id
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE schedule_approvals SET asked_by = ?, asked_at = ?, approved_hash = NULL, approved_by = NULL, approved_at = NULL
         WHERE schedule_id = ?",
        asked_by,
        now,
        id
    )
    .execute(&mut *connection)
    .await?;
    reset_list_hash(connection, id).await
}

/// What an approval writes.
pub struct Approved<'a> {
    /// The hash of what was approved.
    pub hash: &'a [u8],
    /// Who has approved it.
    pub by: &'a str,
    /// When.
    pub at: DateTime<Utc>,
}

/// Moves awaiting-approval → scheduled, with this start. The version rises, so that events for an
/// earlier time are ignored.
pub async fn approve(
    connection: &mut MySqlConnection,
    id: Uuid,
    start: Start<'_>,
    approved: &Approved<'_>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedules SET status = 'scheduled', run_at = ?, opens_at = ?, version = version + 1
         WHERE id = ? AND status = 'awaiting-approval' AND batch_count IS NULL",
        start.run_at,
        start.opens_at(),
        id
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!(
        "UPDATE schedule_approvals SET approved_hash = ?, approved_by = ?, approved_at = ? WHERE schedule_id = ?",
        approved.hash,
        approved.by,
        approved.at,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Moves awaiting-approval → draft, with the reason.
pub async fn reject(connection: &mut MySqlConnection, id: Uuid, reason: &str) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'draft', reason = ? WHERE id = ? AND status = 'awaiting-approval' AND batch_count IS NULL",
        reason,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Stores how far the list is hashed, if it is the same list, and nobody has come further. Returns
/// whether it did.
pub async fn store_list_hash(
    connection: &mut MySqlConnection,
    id: Uuid,
    from: &Approval,
    to: &Approval,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE schedule_approvals SET list_hash = ?, hashed_seq = ?, is_hashed = ?
         WHERE schedule_id = ? AND list_version = ? AND hashed_seq = ? AND is_hashed = 0",
        to.list_hash,
        to.hashed_seq,
        to.is_hashed,
        id,
        from.list_version,
        from.hashed_seq
    );
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// A recipient as it is approved.
pub struct ListedRecipient {
    /// Its place in the list.
    pub seq: u32,
    /// Its number.
    pub phone: String,
    /// Its variables, as JSON.
    pub variables: Option<String>,
    /// What the client's system calls it.
    pub reference: Option<String>,
    /// Its group.
    pub group_name: Option<String>,
}

/// Returns the recipients after a place of the list who get a message.
pub async fn page_of_list(
    connection: &mut MySqlConnection,
    id: Uuid,
    after: u32,
    limit: u32,
) -> sqlx::Result<Vec<ListedRecipient>> {
    sqlx::query_as!(
        ListedRecipient,
        r#"SELECT r.seq, r.phone AS "phone!", v.variables AS "variables?", n.reference AS "reference?", n.group_name AS "group_name?"
           FROM recipients r FORCE INDEX (PRIMARY)
             LEFT JOIN recipient_variables v ON v.schedule_id = r.schedule_id AND v.seq = r.seq
             LEFT JOIN recipient_references n ON n.schedule_id = r.schedule_id AND n.seq = r.seq
           WHERE r.schedule_id = ? AND r.seq > ? AND r.status = 'PENDING' AND r.phone IS NOT NULL ORDER BY r.seq LIMIT ?"#,
        id,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Returns who has created or changed a schedule, in the form of `audit_log.actor`. A key that belongs
/// to a person counts as that person.
pub async fn authors(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<Vec<String>> {
    let resource = format!("schedule:{id}");
    let actors = sqlx::query_scalar!(
        // What only reads, pauses, cancels or decides makes nobody an author.
        r#"SELECT DISTINCT actor FROM audit_log WHERE resource = ?
             AND action IN ('schedule.create', 'schedule.change', 'schedule.append', 'schedule.resend', 'schedule.activate',
               'schedule.resume', 'schedule.send-now', 'recipient.change', 'recipient.cancel')"#,
        resource
    );
    let mut authors = actors.fetch_all(&mut *connection).await?;
    for author in &mut authors {
        let key = author.strip_prefix("key:").map(Uuid::try_parse);
        if let Some(Ok(key)) = key
            && let Some(person) = person_of_key(connection, key).await?
        {
            *author = format!("user:{person}");
        }
    }
    authors.sort_unstable();
    authors.dedup();
    Ok(authors)
}

/// Returns whether somebody has ever approved the schedule.
pub async fn was_approved(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<bool> {
    let resource = format!("schedule:{id}");
    let approver = sqlx::query_scalar!(
        "SELECT actor FROM audit_log WHERE resource = ? AND action = 'schedule.approve' LIMIT 1",
        resource
    );
    Ok(approver.fetch_optional(connection).await?.is_some())
}

async fn person_of_key(connection: &mut MySqlConnection, key: Uuid) -> sqlx::Result<Option<Uuid>> {
    let found = sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id: Uuid" FROM api_keys WHERE id = ?"#,
        key
    );
    Ok(found.fetch_optional(connection).await?.flatten())
}

/// Returns the role of the person whose key it is; `None` for the key of a program.
pub async fn role_of_key(
    connection: &mut MySqlConnection,
    key: Uuid,
) -> sqlx::Result<Option<Role>> {
    let found = sqlx::query_scalar!(
        r#"SELECT u.role AS "role: Role" FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.id = ?"#,
        key
    );
    found.fetch_optional(connection).await
}

/// Returns what a schedule is planned to cost, in millionths of the currency unit. If its text became
/// longer after its list was appended, as if each message had the most parts of any; 0 without prices.
pub async fn cost_of(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<u64> {
    let row = sqlx::query!(
        "SELECT c.planned_parts, c.planned_micros, s.parts, s.recipient_count
         FROM schedules s STRAIGHT_JOIN schedule_costs c ON c.schedule_id = s.id WHERE s.id = ?",
        id
    );
    let Some(row) = row.fetch_optional(connection).await? else {
        return Ok(0);
    };
    let most_parts = u64::from(row.recipient_count) * u64::from(row.parts);
    let parts = u128::from(most_parts.max(row.planned_parts));
    let micros = u128::from(row.planned_micros) * parts / u128::from(row.planned_parts.max(1));
    Ok(u64::try_from(micros).unwrap_or(u64::MAX))
}
