//! What dead letters name, made due for the sweep.

use chrono::{DateTime, Utc};
use shared::platform::queue::BatchMessage;
use sqlx::MySqlConnection;

/// Makes batches due for the sweep now, if they have work and no worker owns them; what waits for
/// its turn is on no queue, and its dead letter is none. A `sweep_at` that is not after the due time
/// means that the batch is not enqueued. Returns how many there were. The rows decide what there is to do, not the dead letter.
pub async fn make_due_for_sweep(
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
         SET b.sweep_at = LEAST(?, COALESCE(b.send_at, ?), COALESCE(b.check_at, ?)), b.requeues = 0
         WHERE b.schedule_id = UNHEX(n.id) AND b.batch_no = n.batch_no
           AND ((b.send_at IS NOT NULL AND b.waiting = 0) OR b.check_at IS NOT NULL) AND (b.claim_token IS NULL OR b.claimed_until < ?)",
        serde_json::json!(names).to_string(),
        now,
        now,
        now,
        now
    );
    Ok(done.execute(connection).await?.rows_affected())
}
