//! What a person does about batches that are stuck: parked ones are given another chance, and those that a dead letter names are put
//! into the sweep's sight. Said twice, the second time nothing is left to do.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use shared::platform::backoff::MAX_CRASHES;
use shared::platform::queue::BatchMessage;

/// Parked batches among the numbers from `first` to `last` may be claimed again, and are due for the sweep.
pub async fn retry_parked(
    connection: &mut MySqlConnection,
    id: Uuid,
    (first, last): (u32, u32),
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE batches SET crashes = 0, sweep_at = ?, requeues = 0
         WHERE schedule_id = ? AND batch_no BETWEEN ? AND ? AND crashes >= ? AND (claim_token IS NULL OR claimed_until < ?)",
        now,
        id,
        first,
        last,
        MAX_CRASHES,
        now
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// Of the batches of those numbers: how many there are, and how many are under their third claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// All.
    pub batches: i64,
    /// Their owner still works.
    pub busy: i64,
}

/// What [`retry_parked`] has left as it is.
pub async fn count_left(
    connection: &mut MySqlConnection,
    id: Uuid,
    (first, last): (u32, u32),
    now: DateTime<Utc>,
) -> sqlx::Result<Left> {
    sqlx::query_as!(
        Left,
        r#"SELECT COUNT(*) AS "batches!: i64",
             CAST(COALESCE(SUM(crashes >= ? AND claimed_until >= ?), 0) AS SIGNED) AS "busy!: i64"
           FROM batches WHERE schedule_id = ? AND batch_no BETWEEN ? AND ?"#,
        MAX_CRASHES,
        now,
        id,
        first,
        last
    )
    .fetch_one(connection)
    .await
}

/// Puts batches into the sweep's sight, now, that have something due and that nobody works on. Returns how many those are: the rows
/// say what there is to do, not the letter.
pub async fn sweep_soon(
    connection: &mut MySqlConnection,
    batches: &[BatchMessage],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let names: Vec<_> = batches
        .iter()
        .map(|batch| (batch.schedule_id.simple().to_string(), batch.batch_no))
        .collect();
    let done = sqlx::query!(
        "UPDATE batches b JOIN (
           SELECT DISTINCT named.id, named.batch_no FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$[0]',
             batch_no INT UNSIGNED PATH '$[1]')) named) n
         SET b.sweep_at = ?, b.requeues = 0
         WHERE b.schedule_id = UNHEX(n.id) AND b.batch_no = n.batch_no AND (b.send_at IS NOT NULL OR b.check_at IS NOT NULL)
           AND (b.claim_token IS NULL OR b.claimed_until < ?)",
        serde_json::json!(names).to_string(),
        now,
        now
    );
    Ok(done.execute(connection).await?.rows_affected())
}
