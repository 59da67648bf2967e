//! The brake: stops all sending at once. While it is set, no batch of a running schedule is claimed,
//! and passes in progress end within some seconds. Cancelled schedules are still closed, and statuses
//! are still asked for.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::MySqlConnection;

use crate::platform::db::Db;

/// The name of the only brake.
const SENDING: &str = "sending";

/// The state of the brake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Brake {
    /// Since when it is set; `None`: it is not.
    pub set_at: Option<DateTime<Utc>>,
    /// Who set or released it last: an actor of the audit log; empty: nobody did.
    pub set_by: String,
    /// Why.
    pub reason: String,
}

/// The width of `brakes.reason`, in characters.
pub const LONGEST_REASON: usize = 255;

/// A brake that was set or released.
#[derive(Debug)]
pub struct BrakeChange {
    /// Before.
    pub before: Brake,
    /// After.
    pub after: Brake,
    /// Batches that the next sweep enqueues because the brake was released.
    pub due_batches: u64,
}

/// Sets the brake, in the caller's transaction. A second call changes the reason, not the time.
pub async fn set(
    connection: &mut MySqlConnection,
    by: String,
    reason: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<BrakeChange> {
    let before = lock(connection).await?;
    let after = Brake {
        set_at: Some(before.set_at.unwrap_or(now)),
        set_by: by,
        reason: reason.to_owned(),
    };
    write(connection, &after).await?;
    Ok(BrakeChange {
        before,
        after,
        due_batches: 0,
    })
}

/// Releases the brake, in the caller's transaction: what was due meanwhile is enqueued by the next
/// sweep.
pub async fn release(
    connection: &mut MySqlConnection,
    by: String,
    reason: &str,
) -> sqlx::Result<BrakeChange> {
    let before = lock(connection).await?;
    let after = Brake {
        set_at: None,
        set_by: by,
        reason: reason.to_owned(),
    };
    let due_batches = make_due(connection).await?;
    write(connection, &after).await?;
    Ok(BrakeChange {
        before,
        after,
        due_batches,
    })
}

/// Returns whether the brake is set.
pub async fn is_set(db: &Db) -> sqlx::Result<bool> {
    let set = sqlx::query_scalar!(
        r#"SELECT set_at IS NOT NULL AS "set!: bool" FROM brakes WHERE name = ?"#,
        SENDING
    );
    Ok(set.fetch_optional(db).await?.unwrap_or(false))
}

/// Reads the brake, and locks it until the transaction ends.
async fn lock(connection: &mut MySqlConnection) -> sqlx::Result<Brake> {
    sqlx::query_as!(
        Brake,
        r#"SELECT set_at AS "set_at: DateTime<Utc>", set_by, reason FROM brakes WHERE name = ? FOR UPDATE"#,
        SENDING
    )
    .fetch_one(connection)
    .await
}

/// Reads the brake.
pub async fn read(connection: &mut MySqlConnection) -> sqlx::Result<Brake> {
    sqlx::query_as!(
        Brake,
        r#"SELECT set_at AS "set_at: DateTime<Utc>", set_by, reason FROM brakes WHERE name = ?"#,
        SENDING
    )
    .fetch_one(connection)
    .await
}

/// Writes the brake. After the commit no batch is claimed that the brake stops: a claim in progress
/// has its row locked until it ends.
pub async fn write(connection: &mut MySqlConnection, brake: &Brake) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE brakes SET set_at = ?, set_by = ?, reason = ? WHERE name = ?",
        brake.set_at,
        brake.set_by,
        brake.reason,
        SENDING
    );
    done.execute(connection).await.map(drop)
}

/// Makes the sweep look at each batch when it is due to be sent, or when the lease of its owner ends,
/// in the transaction that releases the brake: it has skipped those that it met while the brake was
/// set. Returns how many there are.
pub async fn make_due(connection: &mut MySqlConnection) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        // Not after the due time, by which the sweep recognises that a batch is not enqueued.
        "UPDATE batches b FORCE INDEX (admitted) STRAIGHT_JOIN schedules s ON s.id = b.schedule_id
         SET b.sweep_at = LEAST(b.sweep_at, IF(b.claim_token IS NULL, b.send_at, b.claimed_until))
         WHERE b.waiting = 0 AND b.send_at > '1970-01-01' AND s.status = 'running'"
    );
    Ok(done.execute(connection).await?.rows_affected())
}
