//! The statements about receipts: which attempts they belong to, and how they are recorded.
//!
//! A receipt is a status update of one attempt, so recording it needs no claim. The next pass over
//! the batch, if one is needed, computes its effect on the batch.
//!
//! `message_id` has no index, because every recorded answer would have to maintain it: a receipt also
//! names the phone number, which has one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    batch::SeqRange,
    carrier::OwnId,
    message::status::Status,
    platform::{
        backoff::MAX_CRASHES,
        db::{
            Db,
            json::{as_datetime, as_hex, to_json},
        },
    },
};
use sqlx::{MySqlConnection, types::Uuid};

/// The key by which the attempt of a receipt is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptKey {
    /// Position of the receipt in the call; it is returned with each match.
    #[serde(rename = "n")]
    place: u32,
    /// Phone number in E.164 with the plus sign.
    #[serde(rename = "p")]
    phone: String,
    /// The id in the receipt.
    #[serde(rename = "i")]
    id: String,
    /// Of an own id: the schedule in hexadecimal. `seq` and `attempt` belong to it.
    #[serde(rename = "s")]
    schedule_id: Option<String>,
    #[serde(rename = "q")]
    seq: Option<u32>,
    #[serde(rename = "a")]
    attempt: Option<u32>,
}

impl ReceiptKey {
    /// Returns the key of the receipt at this position.
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

/// An attempt that a receipt may belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedAttempt {
    /// Position of the receipt, from [`ReceiptKey`].
    pub place: u32,
    /// `recipients.schedule_id`
    pub schedule_id: Uuid,
    /// `recipients.seq`
    pub seq: u32,
    /// Number of the attempt.
    pub attempt: u32,
    /// Status of the attempt.
    pub status: Status,
    /// The carrier's ids, joined by commas; `None`: no answer is recorded.
    pub message_id: Option<String>,
    /// Last status in the carrier's own words.
    pub carrier_status: Option<String>,
    /// Number of parts of the schedule's text.
    pub parts: u16,
    /// When its request was started.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Returns the messages with the number of a key and either its id, its own id, or no id yet and a
/// request after `since`.
pub async fn find_messages(
    db: &Db,
    keys: &[ReceiptKey],
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<MatchedAttempt>> {
    let rows = sqlx::query_as!(
        Row,
        // Without the conversion from utf8mb4, the key of `phone` would not be used.
        r#"SELECT j.n AS "place!: u32", r.schedule_id AS "schedule_id!: Uuid", r.seq AS "seq!: u32", r.attempt AS "attempt!: u32",
             r.status AS "status!: String", r.message_id, r.carrier_status, s.parts AS "parts!: u16",
             r.sent_at AS "sent_at?: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$.n', p VARCHAR(16) PATH '$.p', i VARCHAR(128) PATH '$.i',
               s CHAR(32) PATH '$.s', q INT UNSIGNED PATH '$.q', a INT UNSIGNED PATH '$.a')) j
             STRAIGHT_JOIN recipients r FORCE INDEX (phone_once) ON r.phone = CONVERT(j.p USING ascii)
             STRAIGHT_JOIN schedules s ON s.id = r.schedule_id
           WHERE (j.s IS NULL OR r.schedule_id = UNHEX(j.s))
             AND (FIND_IN_SET(CONVERT(j.i USING ascii), r.message_id) > 0
               OR (r.schedule_id = UNHEX(j.s) AND r.seq = j.q AND r.attempt = j.a)
               OR (r.message_id IS NULL AND r.status IN ('SENDING', 'UNCERTAIN') AND r.sent_at > ?))"#,
        to_json(keys)?,
        since
    );
    rows.fetch_all(db)
        .await?
        .into_iter()
        .map(Row::read)
        .collect()
}

/// Returns the same among earlier attempts, which were followed by another one.
pub async fn find_attempts(db: &Db, keys: &[ReceiptKey]) -> sqlx::Result<Vec<MatchedAttempt>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT j.n AS "place!: u32", a.schedule_id AS "schedule_id!: Uuid", a.seq AS "seq!: u32", a.attempt AS "attempt!: u32",
             a.status AS "status!: String", a.message_id, a.carrier_status, s.parts AS "parts!: u16",
             a.sent_at AS "sent_at?: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$.n', p VARCHAR(16) PATH '$.p', i VARCHAR(128) PATH '$.i',
               s CHAR(32) PATH '$.s', q INT UNSIGNED PATH '$.q', a INT UNSIGNED PATH '$.a')) j
             STRAIGHT_JOIN recipients r FORCE INDEX (phone_once) ON r.phone = CONVERT(j.p USING ascii)
             STRAIGHT_JOIN attempts a ON a.schedule_id = r.schedule_id AND a.seq = r.seq
             STRAIGHT_JOIN schedules s ON s.id = r.schedule_id
           WHERE (j.s IS NULL OR r.schedule_id = UNHEX(j.s))
             AND (FIND_IN_SET(CONVERT(j.i USING ascii), a.message_id) > 0
               OR (a.schedule_id = UNHEX(j.s) AND a.seq = j.q AND a.attempt = j.a))"#,
        to_json(keys)?
    );
    rows.fetch_all(db)
        .await?
        .into_iter()
        .map(Row::read)
        .collect()
}

/// A row of [`MatchedAttempt`] as the database returns it.
struct Row {
    place: u32,
    schedule_id: Uuid,
    seq: u32,
    attempt: u32,
    status: String,
    message_id: Option<String>,
    carrier_status: Option<String>,
    parts: u16,
    sent_at: Option<DateTime<Utc>>,
}

impl Row {
    fn read(self) -> sqlx::Result<MatchedAttempt> {
        let Self {
            place,
            schedule_id,
            seq,
            attempt,
            status,
            message_id,
            carrier_status,
            parts,
            sent_at,
        } = self;
        let status = Status::parse(&status)
            .ok_or_else(|| sqlx::Error::Decode(format!("{status} is not a status").into()))?;
        Ok(MatchedAttempt {
            place,
            schedule_id,
            seq,
            attempt,
            status,
            message_id,
            carrier_status,
            parts,
            sent_at,
        })
    }
}

/// The status that a receipt reports for one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptRow {
    /// `recipients.schedule_id`
    #[serde(rename = "i", serialize_with = "as_hex")]
    pub schedule_id: Uuid,
    /// `recipients.seq`
    #[serde(rename = "q")]
    pub seq: u32,
    /// The attempt.
    #[serde(rename = "a")]
    pub attempt: u32,
    /// The new status.
    #[serde(rename = "s")]
    pub status: Status,
    /// The carrier's own words.
    #[serde(rename = "w")]
    pub carrier_status: String,
    /// The id, for a row that has none yet.
    #[serde(rename = "m")]
    pub message_id: String,
    /// 1 if the status is final, else 0.
    #[serde(rename = "f")]
    pub is_final: u8,
    /// When the request of the attempt was started. It is not written.
    #[serde(skip)]
    pub sent_at: Option<DateTime<Utc>>,
}

/// Records receipts as `shared::batch::rows::record_status_updates` records the answers to status
/// queries: by attempt, never over a final status, and never on a row that belongs to the owner of
/// the claim (PENDING, SENDING). Receipts may overtake each other, so ENROUTE never becomes ACCEPTD
/// again. Returns the number of changed rows.
pub async fn record_receipts(
    db: &mut MySqlConnection,
    receipts: &[ReceiptRow],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', seq INT UNSIGNED PATH '$.q',
             attempt INT UNSIGNED PATH '$.a', status VARCHAR(10) PATH '$.s', word VARCHAR(32) PATH '$.w', id VARCHAR(128) PATH '$.m',
             final INT PATH '$.f')) j
         SET r.carrier_status = j.word, r.id_start = COALESCE(r.id_start, LEFT(j.id, 44)),
           r.id_rest = COALESCE(r.id_rest, IF(r.id_start IS NULL OR r.id_start = LEFT(j.id, 44), NULLIF(SUBSTRING(j.id, 45), ''), NULL)), r.error = NULL,
           r.final_at = IF(j.final = 1, ?, NULL), r.status = j.status
         WHERE r.schedule_id = UNHEX(j.i) AND r.seq = j.seq AND r.attempt = j.attempt
           AND r.status IN ('ACCEPTD', 'ENROUTE', 'UNCERTAIN') AND NOT (r.status = 'ENROUTE' AND j.status = 'ACCEPTD')",
        to_json(receipts)?,
        now
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Records receipts of earlier attempts in the same way. They have no further effect.
pub async fn record_late_receipts(
    db: &mut MySqlConnection,
    receipts: &[ReceiptRow],
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

/// A batch with receipts, and whether a pass over it is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffectedBatch {
    /// `batches.schedule_id`
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    pub batch_no: u32,
    /// First `recipients.seq`.
    pub first_seq: u32,
    /// Last `recipients.seq`.
    pub last_seq: u32,
    /// The batch is claimed or parked. The release of the claim, or of the next one, counts the rows; a
    /// parked batch waits for an operator.
    pub is_taken: bool,
    /// When the next status query is due.
    pub check_at: Option<DateTime<Utc>>,
}

/// Returns the batches that overlap a range of a schedule's recipients.
///
/// Runs after the receipts are recorded, in the same transaction. A batch that is claimed at that
/// time is released later: its release locks the rows that it counts, and so waits for the record. A
/// batch that is not claimed was released before the record.
pub async fn affected_batches(
    db: &mut MySqlConnection,
    schedule_id: Uuid,
    range: SeqRange,
) -> sqlx::Result<Vec<AffectedBatch>> {
    sqlx::query_as!(
        AffectedBatch,
        // The last batch that can overlap the range is the first one that does not end before it. So
        // only overlapping batches are read, however many there are.
        r#"SELECT b.schedule_id AS "schedule_id!: Uuid", b.batch_no AS "batch_no!: u32", b.first_seq AS "first_seq!: u32",
             b.last_seq AS "last_seq!: u32", (b.claim_token IS NOT NULL OR b.crashes >= ?) AS "is_taken!: bool",
             b.check_at AS "check_at: DateTime<Utc>"
           FROM batches b FORCE INDEX (by_last_seq)
           WHERE b.schedule_id = ? AND b.last_seq >= ? AND b.first_seq <= ?
             AND b.last_seq <= (SELECT COALESCE(MIN(x.last_seq), ?) FROM batches x WHERE x.schedule_id = ? AND x.last_seq >= ?)"#,
        MAX_CRASHES,
        schedule_id,
        range.first,
        range.last,
        range.last,
        schedule_id,
        range.last
    )
    .fetch_all(db)
    .await
}

/// Whether a batch has messages that still need a status query. Each search stops at the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenMessages {
    /// A message is SENDING, ACCEPTD or ENROUTE.
    pub open: bool,
    /// A message is UNCERTAIN.
    pub uncertain: bool,
}

/// Returns which open messages a range holds.
pub async fn open_messages(
    db: &mut MySqlConnection,
    id: Uuid,
    SeqRange { first, last }: SeqRange,
) -> sqlx::Result<OpenMessages> {
    sqlx::query_as!(
        OpenMessages,
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
    /// The new due time.
    #[serde(rename = "t", serialize_with = "as_datetime")]
    pub check_at: DateTime<Utc>,
}

/// Makes the next pass over each batch due at that time at the latest; the pass counts the rows and
/// plans again, as after `shared::batch::rows::make_due_if_lease_lost`.
///
/// A claimed batch is not changed, and an earlier recheck stays. The caller reopens the schedules
/// (`shared::schedule::lifecycle::reopen_schedule`) in the same transaction.
pub async fn bring_forward(db: &mut MySqlConnection, dues: &[Due]) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', n INT UNSIGNED PATH '$.n', t DATETIME(3) PATH '$.t')) j
         SET b.check_at = LEAST(COALESCE(b.check_at, j.t), j.t), b.sweep_at = LEAST(COALESCE(b.sweep_at, j.t), j.t)
         WHERE b.schedule_id = UNHEX(j.i) AND b.batch_no = j.n AND b.claim_token IS NULL",
        to_json(dues)?
    );
    done.execute(db).await.map(drop)
}
