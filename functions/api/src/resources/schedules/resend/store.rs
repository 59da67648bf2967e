//! `schedule_resends`, and the statements that copy recipients.

use std::ops::RangeInclusive;

use serde_json::json;
use shared::schedule::{start::Start, status::ScheduleStatus, unique_by::UniqueBy};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A row of `schedule_resends`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Resend {
    pub schedule_id: Uuid,
    pub resend_of: Uuid,
    pub generation: u8,
    pub statuses: String,
    pub is_draft: bool,
    pub next_seq: Option<u32>,
}

/// The newest schedule that sends again to recipients of another.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct KnownResend {
    pub schedule_id: Uuid,
    pub status: ScheduleStatus,
}

/// Returns the newest schedule that sends again to recipients of `id`. It is the first read
/// behind the lock of `id`, so it sees what was committed before.
pub async fn newest_resend(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<KnownResend>> {
    let found = sqlx::query_as!(
        KnownResend,
        r#"SELECT r.schedule_id AS "schedule_id: Uuid", s.status AS "status: ScheduleStatus"
           FROM schedule_resends r FORCE INDEX (by_original) STRAIGHT_JOIN schedules s ON s.id = r.schedule_id
           WHERE r.resend_of = ? ORDER BY r.schedule_id DESC LIMIT 1"#,
        id
    );
    found.fetch_optional(connection).await
}

/// Returns how often in a row a schedule sends again: 0 for one that does not.
pub async fn generation_of(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<u8> {
    let found = sqlx::query_scalar!(
        "SELECT generation FROM schedule_resends WHERE schedule_id = ?",
        id
    );
    Ok(found.fetch_optional(connection).await?.unwrap_or_default())
}

/// Inserts a row, in the transaction that inserts the schedule.
pub async fn insert_resend(connection: &mut MySqlConnection, new: &Resend) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO schedule_resends (schedule_id, resend_of, generation, statuses, is_draft, next_seq) VALUES (?, ?, ?, ?, ?, ?)",
        new.schedule_id,
        new.resend_of,
        new.generation,
        new.statuses,
        new.is_draft,
        new.next_seq
    );
    done.execute(connection).await.map(drop)
}

/// Reads a row, and locks it until the transaction ends.
pub async fn lock_resend(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Resend>> {
    let found = sqlx::query_as!(
        Resend,
        r#"SELECT schedule_id AS "schedule_id: Uuid", resend_of AS "resend_of: Uuid", generation, statuses, is_draft AS "is_draft: bool", next_seq
           FROM schedule_resends WHERE schedule_id = ? FOR UPDATE"#,
        id
    );
    found.fetch_optional(connection).await
}

/// Returns whether the list of a schedule that sends again is not complete.
pub async fn is_incomplete(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "found!: i64" FROM schedule_resends WHERE schedule_id = ? AND next_seq IS NOT NULL"#,
        id
    );
    Ok(found.fetch_one(connection).await? > 0)
}

/// A recipient to be copied.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct OldRecipient {
    pub seq: u32,
    pub phone: String,
}

/// Returns the first recipients of a part of the finished schedule's list that are in one of the
/// states, without those of whom an earlier attempt was delivered after all, and without those that an
/// earlier resend has sent to before it was cancelled. What it has left is PENDING until the sweep
/// closes it, and was perhaps sent before it was to be sent again.
pub async fn recipients_to_copy(
    connection: &mut MySqlConnection,
    resend: &Resend,
    unique_by: UniqueBy,
    seqs: RangeInclusive<u32>,
    limit: u32,
) -> sqlx::Result<Vec<OldRecipient>> {
    let found = sqlx::query_as!(
        OldRecipient,
        r#"SELECT r.seq, r.phone AS "phone!" FROM recipients r FORCE INDEX (PRIMARY)
           WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND FIND_IN_SET(r.status, ?) AND r.phone LIKE '+%'
             AND NOT EXISTS (
               SELECT 1 FROM schedule_resends e FORCE INDEX (by_original)
               STRAIGHT_JOIN recipients x FORCE INDEX (phone_once) ON x.schedule_id = e.schedule_id AND x.phone = r.phone
               WHERE e.resend_of = ? AND e.schedule_id <> ? AND (x.status NOT IN ('CANCELLED', 'PENDING') OR x.sends > 0)
                 -- Of two recipients with one number, the one with the same reference.
                 AND (? OR (SELECT BINARY a.reference FROM recipient_references a WHERE a.schedule_id = r.schedule_id AND a.seq = r.seq)
                   <=> (SELECT BINARY b.reference FROM recipient_references b WHERE b.schedule_id = x.schedule_id AND b.seq = x.seq)))
             AND NOT EXISTS (SELECT 1 FROM attempts t WHERE t.schedule_id = r.schedule_id AND t.seq = r.seq AND t.status = 'DELIVRD')
           ORDER BY r.seq LIMIT ?"#,
        resend.resend_of,
        seqs.start(),
        seqs.end(),
        resend.statuses,
        resend.resend_of,
        resend.schedule_id,
        unique_by == UniqueBy::Phone,
        limit
    );
    found.fetch_all(connection).await
}

/// Copies the variables of recipients, each from its old place to its new one.
pub async fn copy_variables(
    connection: &mut MySqlConnection,
    resend: &Resend,
    places: &[[u32; 2]],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO recipient_variables (schedule_id, seq, variables)
         SELECT ?, j.new_seq, v.variables
         FROM JSON_TABLE(?, '$[*]' COLUMNS (old_seq INT UNSIGNED PATH '$[0]', new_seq INT UNSIGNED PATH '$[1]')) j
         STRAIGHT_JOIN recipient_variables v ON v.schedule_id = ? AND v.seq = j.old_seq
         STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = j.new_seq",
        resend.schedule_id,
        json!(places).to_string(),
        resend.resend_of,
        resend.schedule_id
    );
    done.execute(connection).await.map(drop)
}

/// Copies the references and groups of recipients, each from its old place to its new one.
pub async fn copy_names(
    connection: &mut MySqlConnection,
    resend: &Resend,
    places: &[[u32; 2]],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO recipient_references (schedule_id, seq, reference, group_name)
         SELECT ?, j.new_seq, n.reference, n.group_name
         FROM JSON_TABLE(?, '$[*]' COLUMNS (old_seq INT UNSIGNED PATH '$[0]', new_seq INT UNSIGNED PATH '$[1]')) j
         STRAIGHT_JOIN recipient_references n ON n.schedule_id = ? AND n.seq = j.old_seq
         STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = j.new_seq",
        resend.schedule_id,
        json!(places).to_string(),
        resend.resend_of,
        resend.schedule_id
    );
    done.execute(connection).await.map(drop)
}

/// Writes where the next transaction goes on; `None`: the list is complete.
pub async fn set_next_seq(
    connection: &mut MySqlConnection,
    id: Uuid,
    next_seq: Option<u32>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedule_resends SET next_seq = ? WHERE schedule_id = ?",
        next_seq,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Deletes a draft that nobody was copied into, so that no list shows it. Returns whether it is
/// deleted: one that a caller has given a callback stays.
pub async fn remove_empty_draft(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<bool> {
    let removed = sqlx::query!(
        "DELETE FROM schedules WHERE id = ? AND status = 'draft' AND recipient_count = 0 AND callback_id IS NULL",
        id
    );
    if removed.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!("DELETE FROM schedule_labels WHERE schedule_id = ?", id)
        .execute(&mut *connection)
        .await?;
    let done = sqlx::query!("DELETE FROM schedule_resends WHERE schedule_id = ?", id);
    done.execute(connection).await.map(|_| true)
}

/// Moves draft → scheduled, with this start.
pub async fn start_resend(
    connection: &mut MySqlConnection,
    id: Uuid,
    start: Start<'_>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET status = 'scheduled', run_at = ?, opens_at = ? WHERE id = ? AND status = 'draft'",
        start.run_at,
        start.opens_at(),
        id
    );
    done.execute(connection).await.map(drop)
}

/// A schedule that sends again, and the one that it follows.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct ResendLink {
    pub schedule_id: Uuid,
    pub resend_of: Uuid,
}

/// Returns the links from and to these schedules, the newest last.
pub async fn links_of(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<ResendLink>> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    let ids = json!(ids).to_string();
    let found = sqlx::query_as!(
        ResendLink,
        r#"SELECT e.schedule_id AS "schedule_id!: Uuid", e.resend_of AS "resend_of!: Uuid"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) named
           STRAIGHT_JOIN schedule_resends e FORCE INDEX (PRIMARY) ON e.schedule_id = UNHEX(named.id)
           UNION ALL
           SELECT o.schedule_id, o.resend_of
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) named
           STRAIGHT_JOIN schedule_resends o FORCE INDEX (by_original) ON o.resend_of = UNHEX(named.id)"#,
        ids,
        ids
    );
    let mut found = found.fetch_all(connection).await?;
    found.sort_unstable_by_key(|link| link.schedule_id);
    Ok(found)
}
