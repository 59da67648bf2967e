//! The progress of a page of schedules: one statement that reads their batches by the primary key.

use chrono::{DateTime, Utc};
use shared::{message::status::Status, platform::backoff::MAX_CRASHES};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::schedules::attention::OVERDUE;

/// What the batches of a schedule add up to.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct BatchSums {
    pub schedule_id: Uuid,
    pub pending: u64,
    pub sending: u64,
    pub uncertain: u64,
    pub acceptd: u64,
    pub enroute: u64,
    pub delivrd: u64,
    pub undeliv: u64,
    pub expired: u64,
    pub deleted: u64,
    pub rejectd: u64,
    pub unknown: u64,
    pub cancelled: u64,
    pub suppressed: u64,
    /// Batches whose messages were found too late and are held.
    pub missed: u32,
    /// Batches that were claimed three times without a release.
    pub parked: u32,
    /// Batches with UNCERTAIN recipients that no worker owns.
    pub with_uncertain: u32,
    /// Batches that the sweep should have enqueued long ago.
    pub overdue: u32,
    /// Batches whose owner crashed long ago.
    pub abandoned: u32,
    /// When the first of its batches is due to be sent.
    pub send_at: Option<DateTime<Utc>>,
}

impl BatchSums {
    /// Returns the number of recipients in each status that a recipient of a batch can have, as of
    /// the last release of each batch.
    pub const fn by_status(&self) -> [(Status, u64); 13] {
        [
            (Status::Pending, self.pending),
            (Status::Sending, self.sending),
            (Status::Uncertain, self.uncertain),
            (Status::Acceptd, self.acceptd),
            (Status::Enroute, self.enroute),
            (Status::Delivrd, self.delivrd),
            (Status::Undeliv, self.undeliv),
            (Status::Expired, self.expired),
            (Status::Deleted, self.deleted),
            (Status::Rejectd, self.rejectd),
            (Status::Unknown, self.unknown),
            (Status::Cancelled, self.cancelled),
            (Status::Suppressed, self.suppressed),
        ]
    }
}

/// Adds up the batches of the named schedules. A schedule without batches has no row. A batch under
/// its third claim is not parked yet, because it may still be released; a parked one is not sent.
pub async fn sum_batches(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<BatchSums>> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    let overdue_before = now - OVERDUE;
    sqlx::query_as!(
        BatchSums,
        r#"SELECT b.schedule_id AS "schedule_id: Uuid",
             CAST(SUM(b.pending) AS UNSIGNED) AS "pending!: u64",
             CAST(SUM(b.sending) AS UNSIGNED) AS "sending!: u64",
             CAST(SUM(b.uncertain) AS UNSIGNED) AS "uncertain!: u64",
             CAST(SUM(b.acceptd) AS UNSIGNED) AS "acceptd!: u64",
             CAST(SUM(b.enroute) AS UNSIGNED) AS "enroute!: u64",
             CAST(SUM(b.delivrd) AS UNSIGNED) AS "delivrd!: u64",
             CAST(SUM(b.undeliv) AS UNSIGNED) AS "undeliv!: u64",
             CAST(SUM(b.expired) AS UNSIGNED) AS "expired!: u64",
             CAST(SUM(b.deleted) AS UNSIGNED) AS "deleted!: u64",
             CAST(SUM(b.rejectd) AS UNSIGNED) AS "rejectd!: u64",
             CAST(SUM(b.unknown) AS UNSIGNED) AS "unknown!: u64",
             CAST(SUM(b.cancelled) AS UNSIGNED) AS "cancelled!: u64",
             CAST(SUM(b.suppressed) AS UNSIGNED) AS "suppressed!: u64",
             CAST(SUM(b.missed_at IS NOT NULL) AS UNSIGNED) AS "missed!: u32",
             CAST(SUM(b.crashes >= ? AND (b.claim_token IS NULL OR b.claimed_until < ?)) AS UNSIGNED) AS "parked!: u32",
             CAST(SUM(b.uncertain > 0 AND (b.claim_token IS NULL OR b.claimed_until < ?)) AS UNSIGNED) AS "with_uncertain!: u32",
             CAST(COALESCE(SUM(b.crashes < ? AND b.sweep_at < ?), 0) AS UNSIGNED) AS "overdue!: u32",
             CAST(COALESCE(SUM(b.crashes < ? AND b.claimed_until < ?), 0) AS UNSIGNED) AS "abandoned!: u32",
             MIN(IF(b.crashes < ?, b.send_at, NULL)) AS "send_at: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) named
           STRAIGHT_JOIN batches b FORCE INDEX (PRIMARY) ON b.schedule_id = UNHEX(named.id)
           GROUP BY b.schedule_id"#,
        MAX_CRASHES,
        now,
        now,
        MAX_CRASHES,
        overdue_before,
        MAX_CRASHES,
        overdue_before,
        MAX_CRASHES,
        serde_json::json!(ids).to_string()
    )
    .fetch_all(connection)
    .await
}
