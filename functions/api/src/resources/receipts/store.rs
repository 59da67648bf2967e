//! Delivery receipts that a carrier pushes: whose they are, and their record. A receipt is a verdict (`outcomes`), a fact by attempt,
//! so nobody needs a claim for it; what it means for the batch is told to the next pass, if somebody has to come at all.
//!
//! There is no index on `message_id`, as each answer written would pay for it: a receipt names the number, which has one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{MySqlConnection, types::Uuid};

use shared::platform::db::{
    Db,
    json::{as_datetime, as_hex, to_json},
};
use shared::{carrier::OwnId, message::status::Status, platform::backoff::MAX_CRASHES};

/// What a receipt is looked for by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Its place in the call, which comes back with what is found.
    #[serde(rename = "n")]
    place: u32,
    /// E.164 with the plus sign.
    #[serde(rename = "p")]
    phone: String,
    /// The carrier's id.
    #[serde(rename = "i")]
    id: String,
    /// Of an id of ours: the schedule in hexadecimal, the place in its list, the attempt.
    #[serde(rename = "s")]
    schedule_id: Option<String>,
    #[serde(rename = "q")]
    seq: Option<u32>,
    #[serde(rename = "a")]
    attempt: Option<u32>,
}

impl Wanted {
    /// The receipt at that place: number and id.
    pub fn new(place: u32, phone: &str, id: &str) -> Self {
        let own = OwnId::read(id);
        Self {
            place,
            phone: phone.to_owned(),
            id: id.to_owned(),
            schedule_id: own.map(|own| own.schedule_id.simple().to_string()),
            seq: own.map(|own| own.seq),
            attempt: own.map(|own| own.attempt),
        }
    }
}

/// A message that a receipt may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// [`Wanted`]'s.
    pub place: u32,
    /// `recipients.schedule_id`
    pub schedule_id: Uuid,
    /// `recipients.seq`
    pub seq: u32,
    /// The attempt.
    pub attempt: u32,
    /// Its state.
    pub status: Status,
    /// The carrier's ids, joined by commas; none: no answer has been recorded.
    pub message_id: Option<String>,
    /// Last status in the carrier's own words.
    pub carrier_status: Option<String>,
    /// In how many parts the schedule's text travels.
    pub parts: u16,
}

/// The messages with that number and one of: that id, that id of ours, or no id yet, their request having been made after `since`.
pub async fn find_messages(
    db: &Db,
    wanted: &[Wanted],
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<Found>> {
    let rows = sqlx::query_as!(
        Row,
        // Compared as it is, in utf8mb4, the key would not be used.
        r#"SELECT j.n AS "place!: u32", r.schedule_id AS "schedule_id!: Uuid", r.seq AS "seq!: u32", r.attempt AS "attempt!: u32",
             r.status AS "status!: String", r.message_id, r.carrier_status, s.parts AS "parts!: u16"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$.n', p VARCHAR(16) PATH '$.p', i VARCHAR(128) PATH '$.i',
               s CHAR(32) PATH '$.s', q INT UNSIGNED PATH '$.q', a INT UNSIGNED PATH '$.a')) j
             STRAIGHT_JOIN recipients r FORCE INDEX (phone_once) ON r.phone = CONVERT(j.p USING ascii)
             STRAIGHT_JOIN schedules s ON s.id = r.schedule_id
           WHERE (j.s IS NULL OR r.schedule_id = UNHEX(j.s))
             AND (FIND_IN_SET(CONVERT(j.i USING ascii), r.message_id) > 0
               OR (r.schedule_id = UNHEX(j.s) AND r.seq = j.q AND r.attempt = j.a)
               OR (r.message_id IS NULL AND r.status IN ('SENDING', 'UNCERTAIN') AND r.sent_at > ?))"#,
        to_json(wanted)?,
        since
    );
    rows.fetch_all(&db.pool)
        .await?
        .into_iter()
        .map(Row::read)
        .collect()
}

/// Likewise among the attempts that were followed by another.
pub async fn find_attempts(db: &Db, wanted: &[Wanted]) -> sqlx::Result<Vec<Found>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT j.n AS "place!: u32", a.schedule_id AS "schedule_id!: Uuid", a.seq AS "seq!: u32", a.attempt AS "attempt!: u32",
             a.status AS "status!: String", a.message_id, a.carrier_status, s.parts AS "parts!: u16"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$.n', p VARCHAR(16) PATH '$.p', i VARCHAR(128) PATH '$.i',
               s CHAR(32) PATH '$.s', q INT UNSIGNED PATH '$.q', a INT UNSIGNED PATH '$.a')) j
             STRAIGHT_JOIN recipients r FORCE INDEX (phone_once) ON r.phone = CONVERT(j.p USING ascii)
             STRAIGHT_JOIN attempts a ON a.schedule_id = r.schedule_id AND a.seq = r.seq
             STRAIGHT_JOIN schedules s ON s.id = r.schedule_id
           WHERE (j.s IS NULL OR r.schedule_id = UNHEX(j.s))
             AND (FIND_IN_SET(CONVERT(j.i USING ascii), a.message_id) > 0
               OR (a.schedule_id = UNHEX(j.s) AND a.seq = j.q AND a.attempt = j.a))"#,
        to_json(wanted)?
    );
    rows.fetch_all(&db.pool)
        .await?
        .into_iter()
        .map(Row::read)
        .collect()
}

/// [`Found`], as the database has it.
struct Row {
    place: u32,
    schedule_id: Uuid,
    seq: u32,
    attempt: u32,
    status: String,
    message_id: Option<String>,
    carrier_status: Option<String>,
    parts: u16,
}

impl Row {
    fn read(self) -> sqlx::Result<Found> {
        let Self {
            place,
            schedule_id,
            seq,
            attempt,
            status,
            message_id,
            carrier_status,
            parts,
        } = self;
        let status = Status::parse(&status)
            .ok_or_else(|| sqlx::Error::Decode(format!("no status {status}").into()))?;
        Ok(Found {
            place,
            schedule_id,
            seq,
            attempt,
            status,
            message_id,
            carrier_status,
            parts,
        })
    }
}

/// What a receipt says of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// `recipients.schedule_id`
    #[serde(rename = "i", serialize_with = "as_hex")]
    pub schedule_id: Uuid,
    /// `recipients.seq`
    #[serde(rename = "q")]
    pub seq: u32,
    /// The attempt.
    #[serde(rename = "a")]
    pub attempt: u32,
    /// The new state.
    #[serde(rename = "s")]
    pub status: Status,
    /// The carrier's own word.
    #[serde(rename = "w")]
    pub carrier_status: String,
    /// Its id, for a row that had none.
    #[serde(rename = "m")]
    pub message_id: String,
    /// 1: the state is final.
    #[serde(rename = "f")]
    pub is_final: u8,
}

/// Records receipts, as `outcomes::record_status_updates` does verdicts: by attempt, never over a final state, never on a row that is the
/// claim owner's (PENDING, SENDING); and, as receipts overtake each other, never back from ENROUTE. Returns how many it changed.
pub async fn record_receipts(
    db: &mut MySqlConnection,
    receipts: &[Receipt],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', seq INT UNSIGNED PATH '$.q',
             attempt INT UNSIGNED PATH '$.a', status VARCHAR(10) PATH '$.s', word VARCHAR(32) PATH '$.w', id VARCHAR(128) PATH '$.m',
             final INT PATH '$.f')) j
         SET r.carrier_status = j.word, r.message_id = COALESCE(r.message_id, j.id), r.error = NULL,
           r.final_at = IF(j.final = 1, ?, NULL), r.status = j.status
         WHERE r.schedule_id = UNHEX(j.i) AND r.seq = j.seq AND r.attempt = j.attempt
           AND r.status IN ('ACCEPTD', 'ENROUTE', 'UNCERTAIN') AND NOT (r.status = 'ENROUTE' AND j.status = 'ACCEPTD')",
        to_json(receipts)?,
        now
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Records receipts for attempts that have been followed by another, in the same way. Nothing follows from them.
pub async fn record_late_receipts(
    db: &mut MySqlConnection,
    receipts: &[Receipt],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE attempts a JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', seq INT UNSIGNED PATH '$.q',
             attempt INT UNSIGNED PATH '$.a', status VARCHAR(10) PATH '$.s', word VARCHAR(32) PATH '$.w', id VARCHAR(128) PATH '$.m',
             final INT PATH '$.f')) j
         SET a.carrier_status = j.word, a.message_id = COALESCE(a.message_id, j.id), a.error = NULL,
           a.final_at = IF(j.final = 1, ?, NULL), a.status = j.status
         WHERE a.schedule_id = UNHEX(j.i) AND a.seq = j.seq AND a.attempt = j.attempt
           AND a.status IN ('ACCEPTD', 'ENROUTE', 'UNCERTAIN') AND NOT (a.status = 'ENROUTE' AND j.status = 'ACCEPTD')",
        to_json(receipts)?,
        now
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// A batch, as far as it matters who looks at it next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// `batches.schedule_id`
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    pub batch_no: u32,
    /// First `recipients.seq`.
    pub first_seq: u32,
    /// Last `recipients.seq`.
    pub last_seq: u32,
    /// Its owner, or whoever claims it when the lease is over, counts the rows at the release; or a person has to come first.
    pub is_taken: bool,
    /// When something is to be asked.
    pub check_at: Option<DateTime<Utc>>,
}

/// A stretch of a schedule's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScheduleSeqRange {
    /// `recipients.schedule_id`
    #[serde(rename = "i", serialize_with = "as_hex")]
    pub schedule_id: Uuid,
    /// First `recipients.seq`.
    #[serde(rename = "f")]
    pub first_seq: u32,
    /// Last `recipients.seq`.
    #[serde(rename = "l")]
    pub last_seq: u32,
}

/// The batches of these stretches, one for each schedule, read after the record in its transaction. A batch that is taken then is released
/// later, and the release, which locks the rows that it counts, waits for the record; one that is not was released before it.
pub async fn batches_of(
    db: &mut MySqlConnection,
    stretches: &[ScheduleSeqRange],
) -> sqlx::Result<Vec<Touched>> {
    sqlx::query_as!(
        Touched,
        // The batches of a schedule are looked through once, for all receipts of a call.
        r#"SELECT b.schedule_id AS "schedule_id!: Uuid", b.batch_no AS "batch_no!: u32", b.first_seq AS "first_seq!: u32",
             b.last_seq AS "last_seq!: u32", (b.claim_token IS NOT NULL OR b.crashes >= ?) AS "is_taken!: bool",
             b.check_at AS "check_at: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', f INT UNSIGNED PATH '$.f', l INT UNSIGNED PATH '$.l')) j
             STRAIGHT_JOIN batches b ON b.schedule_id = UNHEX(j.i) AND b.last_seq >= j.f AND b.first_seq <= j.l"#,
        MAX_CRASHES,
        to_json(stretches)?
    )
    .fetch_all(db)
    .await
}

/// What of a batch is not at rest: whether a message is waited for, and whether one is UNCERTAIN. Each stops at the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Sent, or accepted, and not final.
    pub open: bool,
    /// Of unknown fate.
    pub uncertain: bool,
}

/// What is left of a range.
pub async fn what_is_left(
    db: &mut MySqlConnection,
    id: Uuid,
    (first, last): (u32, u32),
) -> sqlx::Result<Left> {
    sqlx::query_as!(
        Left,
        r#"SELECT EXISTS (SELECT 1 FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?
               AND status IN ('SENDING', 'ACCEPTD', 'ENROUTE')) AS "open!: bool",
             EXISTS (SELECT 1 FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND status = 'UNCERTAIN') AS "uncertain!: bool""#,
        id,
        first,
        last,
        id,
        first,
        last
    )
    .fetch_one(db)
    .await
}

/// A batch whose recheck is brought forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// `batches.schedule_id`
    #[serde(rename = "i", serialize_with = "as_hex")]
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    #[serde(rename = "n")]
    pub batch_no: u32,
    /// To when.
    #[serde(rename = "t", serialize_with = "as_datetime")]
    pub check_at: DateTime<Utc>,
}

/// Has the next pass come by then, count again and decide again, as `outcomes::make_due_if_lease_lost` does. No claim is touched, and a recheck
/// that comes sooner stays. Whoever calls it reopens the schedules too (`resolve::reopen_schedule`), in the same transaction.
pub async fn bring_forward(db: &mut MySqlConnection, dues: &[Due]) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', n INT UNSIGNED PATH '$.n', t DATETIME(3) PATH '$.t')) j
         SET b.check_at = LEAST(COALESCE(b.check_at, j.t), j.t), b.sweep_at = LEAST(COALESCE(b.sweep_at, j.t), j.t)
         WHERE b.schedule_id = UNHEX(j.i) AND b.batch_no = j.n AND b.claim_token IS NULL",
        to_json(dues)?
    );
    done.execute(db).await.map(drop)
}
