//! Inserts schedules and recipients, and reads rows in a form for assertions.

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::{
    db::Db,
    queue::{BatchMessage, DispatchMessage},
};
use sqlx::Row;
use uuid::Uuid;

/// A schedule to insert; use `..Default::default()` for the other fields.
pub struct Schedule {
    /// Its status.
    pub status: &'static str,
    /// `run_at`, in seconds from now.
    pub run_in_s: i64,
    /// How many recipients; [`phone`] returns their numbers.
    pub recipients: u32,
    /// The text.
    pub message: &'static str,
    /// The number of the text's parts.
    pub parts: u16,
    /// Messages per second.
    pub rate: Option<u32>,
    /// The maximum number of resends.
    pub max_resends: u32,
    /// What happens to UNCERTAIN messages: `hold` or `resend`.
    pub on_uncertain: &'static str,
    /// How late a message may be sent, in seconds.
    pub max_lateness_s: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            status: "scheduled",
            run_in_s: 0,
            recipients: 3,
            message: "Hello",
            parts: 1,
            rate: None,
            max_resends: 2,
            on_uncertain: "hold",
            max_lateness_s: 3600,
        }
    }
}

/// Returns the phone number of a recipient of a fixture.
pub fn phone(seq: u32) -> String {
    format!("+6012{:07}", 1_000_000 + seq)
}

impl Schedule {
    /// Inserts the schedule with its recipients. Returns the message that dispatches it.
    pub async fn insert(self, db: &Db) -> DispatchMessage {
        let id = Uuid::now_v7();
        let now = db.now();
        let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, rate, max_lateness_s, max_resends,
            resend_within_s, on_uncertain, next_seq, recipient_count, created_at) VALUES (?, ?, ?, ?, ?, '+00:00', ?, ?, ?, 21600, ?, ?, ?, ?)";
        let insert = sqlx::query(sql)
            .bind(id)
            .bind(self.status)
            .bind(self.message)
            .bind(self.parts);
        let insert = insert
            .bind(now + TimeDelta::seconds(self.run_in_s))
            .bind(self.rate)
            .bind(self.max_lateness_s);
        let insert = insert
            .bind(self.max_resends)
            .bind(self.on_uncertain)
            .bind(self.recipients + 1)
            .bind(self.recipients)
            .bind(now);
        insert.execute(db).await.unwrap();
        for seqs in (1..=self.recipients).collect::<Vec<_>>().chunks(1000) {
            let mut rows =
                sqlx::QueryBuilder::new("INSERT INTO recipients (schedule_id, seq, phone) ");
            rows.push_values(seqs, |mut row, seq| {
                row.push_bind(id).push_bind(*seq).push_bind(phone(*seq));
            });
            rows.build().execute(db).await.unwrap();
        }
        DispatchMessage {
            schedule_id: id,
            version: 1,
        }
    }
}

/// Forgets what the carrier did: for a test with several stages on one database, each of which
/// begins at the real time again.
pub async fn reset_carrier(db: &Db) {
    let sql = "UPDATE carriers SET progress_at = NULL, outage_from = NULL, outage_until = NULL";
    sqlx::query(sql).execute(db).await.unwrap();
}

/// Returns the recipients as lines `seq STATUS attempt resends error`, in the order of the list.
pub async fn recipients(db: &Db, schedule_id: Uuid) -> Vec<String> {
    let sql = "SELECT CONCAT_WS(' ', seq, status, attempt, resends, error) AS line FROM recipients WHERE schedule_id = ? ORDER BY seq";
    let lines = sqlx::query(sql)
        .bind(schedule_id)
        .fetch_all(db)
        .await
        .unwrap();
    lines.iter().map(|line| line.get("line")).collect()
}

/// Returns how many recipients have a status.
pub async fn count(db: &Db, schedule_id: Uuid, status: &str) -> i64 {
    let sql = "SELECT COUNT(*) FROM recipients WHERE schedule_id = ? AND status = ?";
    sqlx::query_scalar(sql)
        .bind(schedule_id)
        .bind(status)
        .fetch_one(db)
        .await
        .unwrap()
}

/// Returns the schedule's status.
pub async fn status(db: &Db, schedule_id: Uuid) -> String {
    sqlx::query_scalar("SELECT status FROM schedules WHERE id = ?")
        .bind(schedule_id)
        .fetch_one(db)
        .await
        .unwrap()
}

/// The columns of a batch that tests use.
#[derive(Debug)]
pub struct Batch {
    /// When messages of the batch are due to be sent.
    pub send_at: Option<DateTime<Utc>>,
    /// When statuses of the batch are due to be queried.
    pub check_at: Option<DateTime<Utc>>,
    /// When the sweep may enqueue it.
    pub sweep_at: Option<DateTime<Utc>>,
    /// Claims without a release.
    pub crashes: u32,
    /// Whether a worker has claimed it.
    pub claimed: bool,
    /// The range of recipients: first and last seq.
    pub range: (u32, u32),
}

/// Reads a batch.
pub async fn batch(db: &Db, batch: BatchMessage) -> Batch {
    let sql = "SELECT * FROM batches WHERE schedule_id = ? AND batch_no = ?";
    let row = sqlx::query(sql)
        .bind(batch.schedule_id)
        .bind(batch.batch_no)
        .fetch_one(db)
        .await
        .unwrap();
    Batch {
        send_at: row.get("send_at"),
        check_at: row.get("check_at"),
        sweep_at: row.get("sweep_at"),
        crashes: row.get("crashes"),
        claimed: row.get::<Option<Uuid>, _>("claim_token").is_some(),
        range: (row.get("first_seq"), row.get("last_seq")),
    }
}

/// Returns how many unclaimed batches of a schedule have counts that differ from its recipients' rows.
pub async fn wrong_counts(db: &Db, schedule_id: Uuid) -> i64 {
    let sql = "SELECT COUNT(*) FROM batches b JOIN (
          SELECT b.batch_no, SUM(r.status = 'PENDING') AS pending, SUM(r.status = 'UNCERTAIN') AS uncertain, SUM(r.status = 'ACCEPTD') AS acceptd,
            SUM(r.status = 'DELIVRD') AS delivrd, SUM(r.status = 'UNDELIV') AS undeliv, SUM(r.status = 'CANCELLED') AS cancelled,
            SUM(r.status = 'UNKNOWN') AS unknown
          FROM batches b JOIN recipients r ON r.schedule_id = b.schedule_id AND r.seq BETWEEN b.first_seq AND b.last_seq
          WHERE b.schedule_id = ? GROUP BY b.batch_no) c ON c.batch_no = b.batch_no
        WHERE b.schedule_id = ? AND b.claim_token IS NULL AND (b.pending <> c.pending OR b.uncertain <> c.uncertain OR b.acceptd <> c.acceptd
          OR b.delivrd <> c.delivrd OR b.undeliv <> c.undeliv OR b.cancelled <> c.cancelled
          OR b.unknown <> c.unknown)";
    sqlx::query_scalar(sql)
        .bind(schedule_id)
        .bind(schedule_id)
        .fetch_one(db)
        .await
        .unwrap()
}

/// Asserts that the counts of each unclaimed batch of a schedule agree with its recipients' rows.
pub async fn assert_counts(db: &Db, schedule_id: Uuid) {
    let wrong = wrong_counts(db, schedule_id).await;
    assert_eq!(wrong, 0, "counts differ from the rows");
}
