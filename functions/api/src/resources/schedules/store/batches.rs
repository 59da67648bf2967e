//! `batches`, as they are listed: page by page and by their keys. Also the retry of parked batches.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use shared::{
    message::status::Status,
    platform::backoff::MAX_CRASHES,
    schedule::{counts::Counts, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::http::page::PageRequest;

/// The next step of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "kebab-case")]
pub enum BatchState {
    /// Claimed three times without a release; an operator has to decide.
    Parked,
    /// A worker holds its lease.
    Claimed,
    /// Messages of it were found too late, and are held for an operator.
    Missed,
    /// Messages are to be sent.
    ToSend,
    /// The carrier is to be asked for the state of messages.
    ToCheck,
    /// Nothing happens by itself any more.
    Done,
}

impl BatchState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Parked,
        Self::Claimed,
        Self::Missed,
        Self::ToSend,
        Self::ToCheck,
        Self::Done,
    ];

    /// Returns the value in the API, and in the statement of [`page_of_batches`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Claimed => "claimed",
            Self::Missed => "missed",
            Self::ToSend => "to-send",
            Self::ToCheck => "to-check",
            Self::Done => "done",
        }
    }
}

/// A batch of a page, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `batches.batch_no`
    pub batch_no: u32,
    /// Its state.
    pub state: BatchState,
}

/// Returns the batches of a schedule after a batch number, in one state or all. No index contains
/// the state: a rare state costs a walk over the batches of the schedule.
pub async fn page_of_batches(
    connection: &mut MySqlConnection,
    id: Uuid,
    state: Option<BatchState>,
    page: PageRequest<u32>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Listed>> {
    let state = state.map(BatchState::as_str);
    sqlx::query_as!(
        Listed,
        r#"SELECT batch_no, state AS "state!: BatchState" FROM (
             SELECT batch_no, CASE WHEN crashes >= ? AND (claim_token IS NULL OR claimed_until < ?) THEN 'parked'
                 WHEN claimed_until >= ? THEN 'claimed' WHEN missed_at IS NOT NULL THEN 'missed'
                 WHEN send_at IS NOT NULL THEN 'to-send' WHEN check_at IS NOT NULL THEN 'to-check' ELSE 'done' END AS state
             FROM batches WHERE schedule_id = ? AND batch_no > ?) listed
           WHERE ? IS NULL OR state = ? ORDER BY batch_no LIMIT ?"#,
        MAX_CRASHES,
        now,
        now,
        id,
        page.after,
        state,
        state,
        page.limit
    )
    .fetch_all(connection)
    .await
}

/// A batch in an answer, without the token of its claim.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct ShownBatch {
    /// Its index in the request.
    pub place: u32,
    pub schedule_id: Uuid,
    pub schedule_status: ScheduleStatus,
    pub batch_no: u32,
    pub first_seq: u32,
    pub last_seq: u32,
    pub planned_at: DateTime<Utc>,
    pub send_at: Option<DateTime<Utc>>,
    pub check_at: Option<DateTime<Utc>>,
    pub sweep_at: Option<DateTime<Utc>>,
    pub missed_at: Option<DateTime<Utc>>,
    pub claimed_until: Option<DateTime<Utc>>,
    pub crashes: u32,
    pub tries: u32,
    pub refusals: u32,
    pub checks: u32,
    pub requeues: u32,
    /// The counts of the last release, joined by commas in the order of [`Status::ALL`].
    pub counts: String,
}

impl ShownBatch {
    /// Returns the counts of the last release.
    pub fn counts(&self) -> Counts {
        let counts = self
            .counts
            .split(',')
            .map(|count| count.parse().unwrap_or_default());
        Status::ALL.into_iter().zip(counts).collect()
    }

    /// Returns how many of its recipients have no final state.
    pub fn open(&self) -> u64 {
        self.counts()
            .into_iter()
            .filter(|(status, _)| !status.is_final())
            .map(|(_, count)| count)
            .sum()
    }
}

/// Returns the named batches that exist, in the order in which they are named.
pub async fn load_batches(
    connection: &mut MySqlConnection,
    ids: &[(Uuid, u32)],
) -> sqlx::Result<Vec<ShownBatch>> {
    let named: Vec<_> = (0_u32..)
        .zip(ids)
        .map(|(index, (id, batch_no))| (index, id.simple().to_string(), batch_no))
        .collect();
    let mut batches = sqlx::query_as!(
        ShownBatch,
        r#"SELECT named.place AS "place!: u32", b.schedule_id AS "schedule_id: Uuid", s.status AS "schedule_status: ScheduleStatus", b.batch_no,
             b.first_seq, b.last_seq, b.planned_at AS "planned_at: DateTime<Utc>", b.send_at AS "send_at: DateTime<Utc>",
             b.check_at AS "check_at: DateTime<Utc>", b.sweep_at AS "sweep_at: DateTime<Utc>",
             b.missed_at AS "missed_at: DateTime<Utc>", b.claimed_until AS "claimed_until: DateTime<Utc>", b.crashes, b.tries,
             b.refusals, b.checks, b.requeues,
             CONCAT_WS(',', b.pending, b.sending, b.uncertain, b.acceptd, b.enroute, b.delivrd, b.undeliv, b.expired, b.deleted,
               b.rejectd, b.unknown, b.cancelled, b.suppressed) AS "counts!: String"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (place INT UNSIGNED PATH '$[0]', id CHAR(32) PATH '$[1]',
               batch_no INT UNSIGNED PATH '$[2]')) named
             STRAIGHT_JOIN batches b ON b.schedule_id = UNHEX(named.id) AND b.batch_no = named.batch_no
             STRAIGHT_JOIN schedules s ON s.id = b.schedule_id"#,
        serde_json::json!(named).to_string()
    )
    .fetch_all(connection)
    .await?;
    batches.sort_unstable_by_key(|batch| batch.place);
    Ok(batches)
}

/// The UNCERTAIN recipients of a range.
#[derive(Clone, Copy, Debug)]
pub struct UncertainCount {
    /// How many there are.
    pub count: u64,
    /// When the first of their requests was sent.
    pub since: Option<DateTime<Utc>>,
}

/// Counts the UNCERTAIN recipients of a range.
pub async fn count_uncertain(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: RangeInclusive<u32>,
) -> sqlx::Result<UncertainCount> {
    let found = sqlx::query!(
        r#"SELECT COUNT(*) AS "count!: i64", MIN(sent_at) AS "since: DateTime<Utc>" FROM recipients
           WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND status = 'UNCERTAIN'"#,
        id,
        seqs.start(),
        seqs.end()
    );
    let found = found.fetch_one(connection).await?;
    Ok(UncertainCount {
        count: found.count as u64,
        since: found.since,
    })
}

/// Makes the parked batches of a range of batch numbers claimable again, and due for the sweep.
/// Returns how many there were.
pub async fn retry_parked(
    connection: &mut MySqlConnection,
    id: Uuid,
    batch_nos: RangeInclusive<u32>,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE batches SET crashes = 0, sweep_at = ?, requeues = 0
         WHERE schedule_id = ? AND batch_no BETWEEN ? AND ? AND crashes >= ? AND (claim_token IS NULL OR claimed_until < ?)",
        now,
        id,
        batch_nos.start(),
        batch_nos.end(),
        MAX_CRASHES,
        now
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// The numbers of batches in a range of batch numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRangeCounts {
    /// All batches.
    pub batches: i64,
    /// Those under their third claim, whose lease has not ended.
    pub busy: i64,
}

/// Counts the batches of a range, and those that [`retry_parked`] does not change because their
/// owner may still release them.
pub async fn count_batch_range(
    connection: &mut MySqlConnection,
    id: Uuid,
    batch_nos: RangeInclusive<u32>,
    now: DateTime<Utc>,
) -> sqlx::Result<BatchRangeCounts> {
    sqlx::query_as!(
        BatchRangeCounts,
        r#"SELECT COUNT(*) AS "batches!: i64",
             CAST(COALESCE(SUM(crashes >= ? AND claimed_until >= ?), 0) AS SIGNED) AS "busy!: i64"
           FROM batches WHERE schedule_id = ? AND batch_no BETWEEN ? AND ?"#,
        MAX_CRASHES,
        now,
        id,
        batch_nos.start(),
        batch_nos.end()
    )
    .fetch_one(connection)
    .await
}
