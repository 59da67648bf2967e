//! The rows of `turns`, as the functions change them that make batches wait. A schedule with a
//! batch that waits has a row; the transaction that makes the batch wait writes it.

use chrono::{DateTime, Utc};
use sqlx::{MySqlConnection, types::Uuid};

use crate::platform::{db::Db, queue::BatchMessage};

/// Most turns of one repair.
const REPAIRED: u32 = 1000;

/// Opens the turn of a schedule if batches of it wait, or makes the turn ready at `now`. The next
/// batch is sent at `send_at`, or as soon as the schedule's rate allows, if that is later.
pub async fn open_turn(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    send_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO turns (schedule_id, virtual_parts, ready_at, next_send_at)
         SELECT s.id, 0, ?, IF(s.rate IS NULL, ?, GREATEST(?, TIMESTAMP('1970-01-01') + INTERVAL s.rate_free_at_us MICROSECOND))
         FROM schedules s
         WHERE s.id = ? AND EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = s.id AND b.waiting = 1)
         ON DUPLICATE KEY UPDATE turns.ready_at = ?,
           turns.next_send_at = IF(s.rate IS NULL, ?, GREATEST(?, TIMESTAMP('1970-01-01') + INTERVAL s.rate_free_at_us MICROSECOND))",
        now,
        send_at,
        send_at,
        schedule_id,
        now,
        send_at,
        send_at
    );
    done.execute(connection).await.map(drop)
}

/// A batch that a pass returns to those that wait.
#[derive(Clone, Copy, Debug)]
pub struct ReturnedBatch {
    /// The batch.
    pub batch: BatchMessage,
    /// Its message parts that were not sent: the schedule is not charged for them.
    pub parts: u64,
    /// It is admitted again at this time at the earliest.
    pub ready_at: DateTime<Utc>,
}

/// Opens the turn of a schedule to which a batch returns, or delays it.
pub async fn return_batch(
    connection: &mut MySqlConnection,
    returned: &ReturnedBatch,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO turns (schedule_id, virtual_parts, ready_at, next_send_at)
         SELECT schedule_id, 1, ?, ? FROM batches WHERE schedule_id = ? AND batch_no = ? AND waiting = 1
         ON DUPLICATE KEY UPDATE turns.ready_at = IF(turns.ready_at >= '9999-01-01', ?, GREATEST(turns.ready_at, ?)),
           turns.virtual_parts = IF(turns.virtual_parts > ?, turns.virtual_parts - ?, 1)",
        returned.ready_at,
        returned.ready_at,
        returned.batch.schedule_id,
        returned.batch.batch_no,
        returned.ready_at,
        returned.ready_at,
        returned.parts,
        returned.parts
    );
    done.execute(connection).await.map(drop)
}

/// Puts aside the turn of a schedule whose batches are all held behind a canary: the decision opens it
/// again, or a batch of the canary that returns.
pub async fn hold_turn(connection: &mut MySqlConnection, schedule_id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE turns t JOIN schedules s ON s.id = t.schedule_id SET t.ready_at = '9999-01-01'
         WHERE t.schedule_id = ? AND s.status = 'running' AND s.held_after IS NOT NULL",
        schedule_id
    );
    done.execute(connection).await.map(drop)
}

/// Returns schedules with a batch that waits, and without a turn: none, unless rows were changed by
/// hand. The sweep opens their turns.
pub async fn schedules_without_turn(db: &Db) -> sqlx::Result<Vec<Uuid>> {
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT w.schedule_id AS "schedule_id!: Uuid" FROM (
             SELECT b.schedule_id FROM batches b FORCE INDEX (admitted)
             WHERE b.waiting = 1 AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.schedule_id = b.schedule_id) LIMIT ?) w"#,
        REPAIRED
    );
    rows.fetch_all(db).await
}

/// Returns schedules with a turn of which no batch waits.
pub async fn turns_without_batch(db: &Db) -> sqlx::Result<Vec<Uuid>> {
    let rows = sqlx::query_scalar!(
        r#"SELECT t.schedule_id AS "schedule_id: Uuid" FROM turns t
           WHERE NOT EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = t.schedule_id AND b.waiting = 1) LIMIT ?"#,
        REPAIRED
    );
    rows.fetch_all(db).await
}

/// Deletes the turn of a schedule of which no batch waits. The condition reads the batches under a
/// lock: a batch that another transaction makes wait keeps its turn.
pub async fn end_turn(connection: &mut MySqlConnection, schedule_id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE FROM turns WHERE schedule_id = ? AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = ? AND b.waiting = 1)",
        schedule_id,
        schedule_id
    );
    done.execute(connection).await.map(drop)
}
