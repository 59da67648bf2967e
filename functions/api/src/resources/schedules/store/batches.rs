//! `batches` and the schedules they belong to, as they are shown to a person: by their keys, and page by page.

use chrono::{DateTime, Utc};
use shared::{message::status::Status, platform::backoff::MAX_CRASHES, schedule::counts::Counts};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// What is to become of a batch next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Claimed three times without a release: a person has to look.
    Parked,
    /// Somebody works on it.
    Claimed,
    /// Something of it was found too late and is held for a person.
    Missed,
    /// Something is to be sent.
    ToSend,
    /// Something is to be asked.
    ToCheck,
    /// Nothing more happens by itself.
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

    /// The word in the API, and in the statement of [`page_of_batches`].
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
    /// One of the words of [`BatchState`].
    pub state: String,
}

/// The batches of a schedule after number `after`, in one state or all. No index knows the state: a rare one costs a walk over the
/// batches of the schedule.
pub async fn page_of_batches(
    connection: &mut MySqlConnection,
    id: Uuid,
    state: Option<BatchState>,
    (after, limit): (u32, u32),
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Listed>> {
    let state = state.map(BatchState::as_str);
    sqlx::query_as!(
        Listed,
        r#"SELECT batch_no, state AS "state!" FROM (
             SELECT batch_no, CASE WHEN crashes >= ? AND (claim_token IS NULL OR claimed_until < ?) THEN 'parked'
                 WHEN claimed_until >= ? THEN 'claimed' WHEN missed_at IS NOT NULL THEN 'missed'
                 WHEN send_at IS NOT NULL THEN 'to-send' WHEN check_at IS NOT NULL THEN 'to-check' ELSE 'done' END AS state
             FROM batches WHERE schedule_id = ? AND batch_no > ?) listed
           WHERE ? IS NULL OR state = ? ORDER BY batch_no LIMIT ?"#,
        MAX_CRASHES,
        now,
        now,
        id,
        after,
        state,
        state,
        limit
    )
    .fetch_all(connection)
    .await
}

/// A batch as it is shown. Its claim's token is nobody's business.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct ShownBatch {
    /// Which of the batches that were asked for.
    pub place: u32,
    pub schedule_id: Uuid,
    pub schedule_status: String,
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
    /// Those of the last release, joined by commas in the order of [`Status::ALL`].
    pub counts: String,
}

impl ShownBatch {
    /// The counts of the last release.
    pub fn counts(&self) -> Counts {
        let counts = self
            .counts
            .split(',')
            .map(|count| count.parse().unwrap_or_default());
        Status::ALL.into_iter().zip(counts).collect()
    }

    /// How many recipients of it have no final state.
    pub fn open(&self) -> u64 {
        self.counts()
            .into_iter()
            .filter(|(status, _)| !status.is_final())
            .map(|(_, count)| count)
            .sum()
    }
}

/// Those of the named batches that exist, in the order in which they are named.
pub async fn load_batches(
    connection: &mut MySqlConnection,
    names: &[(Uuid, u32)],
) -> sqlx::Result<Vec<ShownBatch>> {
    let names: Vec<_> = (0_u32..)
        .zip(names)
        .map(|(at, (id, no))| (at, id.simple().to_string(), no))
        .collect();
    let mut batches = sqlx::query_as!(
        ShownBatch,
        r#"SELECT named.place AS "place!: u32", b.schedule_id AS "schedule_id: Uuid", s.status AS schedule_status, b.batch_no,
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
        serde_json::json!(names).to_string()
    )
    .fetch_all(connection)
    .await?;
    batches.sort_unstable_by_key(|batch| batch.place);
    Ok(batches)
}

/// How many recipients of a range are UNCERTAIN, and since when the first.
pub async fn uncertain_in(
    connection: &mut MySqlConnection,
    id: Uuid,
    range: (u32, u32),
) -> sqlx::Result<(u64, Option<DateTime<Utc>>)> {
    let found = sqlx::query!(
        r#"SELECT COUNT(*) AS "count!: i64", MIN(sent_at) AS "since: DateTime<Utc>" FROM recipients
           WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND status = 'UNCERTAIN'"#,
        id,
        range.0,
        range.1
    );
    let found = found.fetch_one(connection).await?;
    Ok((found.count as u64, found.since))
}

/// Batches of one schedule that need a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Something of it was found too late and is held.
    pub missed: u32,
    /// Claimed three times without a release.
    pub parked: u32,
}

/// How many batches of a schedule need a person. One under its third claim is not parked yet: it may still be released.
pub async fn count_waiting(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Waiting> {
    sqlx::query_as!(
        Waiting,
        r#"SELECT CAST(COALESCE(SUM(missed_at IS NOT NULL), 0) AS UNSIGNED) AS "missed!: u32",
             CAST(COALESCE(SUM(crashes >= ? AND (claim_token IS NULL OR claimed_until < ?)), 0) AS UNSIGNED) AS "parked!: u32"
           FROM batches WHERE schedule_id = ?"#,
        MAX_CRASHES,
        now,
        id
    )
    .fetch_one(connection)
    .await
}

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
