//! The statements of an admission. All but [`read_line`] and [`mark_enqueued`] run in one
//! transaction, under the lock of [`lock_carrier`].

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{MySqlConnection, types::Uuid};

use super::{
    decide::{Admitted, Shares, TurnAfter},
    slots::{Demand, Load, SLOT_RECIPIENTS},
    turn::{Class, DUE_SOON, Turn, TurnTimes, WaitingBatch},
};
use crate::{
    carrier::capacity::CARRIER,
    message::window::Window,
    platform::{
        backoff::{Backoff, MAX_CRASHES},
        db::{
            Db,
            json::{as_datetime, as_hex, to_json},
        },
    },
    schedule::{priority::Priority, status::ScheduleStatus},
};

/// Most turns of one admission: a bounded page of work.
const TURNS: u32 = 1000;
/// The load is counted up to this many batches, so that a backlog of resends costs no more.
const MOST_COUNTED: u32 = 5000;

/// What is admitted, and what waits.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// What is admitted and due.
    pub load: Load,
    /// `carriers.open_slots`
    pub open_slots: u32,
    /// A turn is ready.
    pub is_ready: bool,
    /// A turn of batches that are only closed is ready.
    pub closing_ready: bool,
    /// A turn of priority high is ready.
    pub high_ready: bool,
}

/// Reads what is admitted and whether a turn is ready, in one statement.
pub async fn read_line(db: &Db, now: DateTime<Utc>, until: DateTime<Utc>) -> sqlx::Result<Line> {
    let row = sqlx::query!(
        r#"SELECT c.open_slots, l.closing AS "closing!: u32", l.high AS "high!: u32", l.high_parts AS "high_parts!: u64",
             l.high_recipients AS "high_recipients!: u64", l.sent AS "sent!: u32", l.sent_parts AS "sent_parts!: u64", l.sent_recipients AS "sent_recipients!: u64",
             EXISTS (SELECT 1 FROM turns t JOIN schedules s ON s.id = t.schedule_id
                     WHERE t.ready_at <= ? AND s.status IN ('running', 'cancelled')) AS "is_ready!: bool",
             EXISTS (SELECT 1 FROM turns t JOIN schedules s ON s.id = t.schedule_id
                     WHERE t.ready_at <= ? AND (s.status = 'cancelled' OR (s.status = 'running'
                       AND COALESCE(s.send_until, s.run_at + INTERVAL s.send_within_s SECOND) <= ?))) AS "closing_ready!: bool",
             EXISTS (SELECT 1 FROM turns t JOIN schedules s ON s.id = t.schedule_id
                     WHERE t.ready_at <= ? AND s.status = 'running' AND s.priority = 'high') AS "high_ready!: bool"
           FROM carriers c CROSS JOIN (
             SELECT CAST(COALESCE(SUM(due.closing), 0) AS UNSIGNED) AS closing, CAST(COALESCE(SUM(due.high), 0) AS UNSIGNED) AS high,
               CAST(COALESCE(SUM(due.high * due.parts), 0) AS UNSIGNED) AS high_parts, CAST(COALESCE(SUM(due.high * due.recipients), 0) AS UNSIGNED) AS high_recipients,
               CAST(COALESCE(SUM(1 - due.closing), 0) AS UNSIGNED) AS sent, CAST(COALESCE(SUM((1 - due.closing) * due.parts), 0) AS UNSIGNED) AS sent_parts,
               CAST(COALESCE(SUM((1 - due.closing) * due.recipients), 0) AS UNSIGNED) AS sent_recipients
             FROM (SELECT (s.status = 'cancelled' OR COALESCE(COALESCE(s.send_until, s.run_at + INTERVAL s.send_within_s SECOND) <= ?, 0)) AS closing,
                     (s.status = 'running' AND s.priority = 'high') AS high, GREATEST(b.pending, 1) * s.parts AS parts,
                     LEAST(GREATEST(b.pending, 1), ?) AS recipients
                   FROM batches b FORCE INDEX (admitted) STRAIGHT_JOIN schedules s ON s.id = b.schedule_id
                   WHERE b.waiting = 0 AND b.send_at <= ? AND b.crashes < ? AND s.status IN ('running', 'cancelled') LIMIT ?) due) l
           WHERE c.name = ?"#,
        now,
        now,
        now,
        now,
        now,
        SLOT_RECIPIENTS,
        until,
        MAX_CRASHES,
        MOST_COUNTED,
        CARRIER
    )
    .fetch_one(db)
    .await?;
    Ok(Line {
        load: Load {
            closing: row.closing,
            high: Demand {
                batches: row.high,
                parts: row.high_parts,
                recipients: row.high_recipients,
            },
            all: Demand {
                batches: row.sent,
                parts: row.sent_parts,
                recipients: row.sent_recipients,
            },
            ..Load::default()
        },
        open_slots: row.open_slots,
        is_ready: row.is_ready,
        closing_ready: row.closing_ready,
        high_ready: row.high_ready,
    })
}

/// The columns of `carriers` that an admission reads.
#[derive(Clone, Copy, Debug)]
pub struct CarrierColumns {
    /// The brake is set, so that only batches of cancelled schedules and of ended ones are admitted.
    pub is_stopped: bool,
    /// `carriers.open_slots`
    pub open_slots: u32,
    /// The virtual times and the credit.
    pub shares: Shares,
}

/// Locks the carrier's row until the transaction ends: one admission at a time.
pub async fn lock_carrier(connection: &mut MySqlConnection) -> sqlx::Result<CarrierColumns> {
    let row = sqlx::query!(
        r#"SELECT open_slots, bulk_credit, high_virtual_parts, normal_virtual_parts, bulk_virtual_parts,
             EXISTS (SELECT 1 FROM brakes x WHERE x.name = 'sending' AND x.set_at IS NOT NULL) AS "is_stopped!: bool"
           FROM carriers WHERE name = ? FOR UPDATE"#,
        CARRIER
    )
    .fetch_one(connection)
    .await?;
    Ok(CarrierColumns {
        is_stopped: row.is_stopped,
        open_slots: row.open_slots,
        shares: Shares {
            virtual_parts: [
                row.high_virtual_parts,
                row.normal_virtual_parts,
                row.bulk_virtual_parts,
            ],
            bulk_credit: row.bulk_credit,
        },
    })
}

/// Counts the batches that are admitted and take a slot at `at`, as is known at `now`. Those of paused
/// schedules and parked ones are not sent, and take no slot. Neither do small ones whose time is
/// still to come, and that will be sent well before `at`.
pub async fn read_load(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
    at: DateTime<Utc>,
) -> sqlx::Result<Load> {
    let (from, until) = (at - DUE_SOON, at + DUE_SOON);
    let rows = sqlx::query!(
        r#"SELECT due.closing AS "closing!: bool", due.priority AS "priority!: Priority", CAST(COUNT(*) AS UNSIGNED) AS "batches!: u32",
             CAST(SUM(due.parts) AS UNSIGNED) AS "parts!: u64", CAST(SUM(due.recipients) AS UNSIGNED) AS "recipients!: u64"
           FROM (SELECT s.id, s.priority, GREATEST(b.pending, 1) * s.parts AS parts, LEAST(GREATEST(b.pending, 1), ?) AS recipients,
                   (s.status = 'cancelled' OR COALESCE(COALESCE(s.send_until, s.run_at + INTERVAL s.send_within_s SECOND) <= ?, 0)) AS closing
                 FROM batches b FORCE INDEX (admitted) STRAIGHT_JOIN schedules s ON s.id = b.schedule_id
                 WHERE b.waiting = 0 AND b.send_at <= ? AND (b.send_at <= ? OR b.send_at > ? OR b.pending > ?)
                   AND b.crashes < ? AND s.status IN ('running', 'cancelled') LIMIT ?) due
           GROUP BY due.id, due.priority, due.closing"#,
        SLOT_RECIPIENTS,
        until,
        until,
        now,
        from,
        SLOT_RECIPIENTS,
        MAX_CRASHES,
        MOST_COUNTED
    )
    .fetch_all(connection)
    .await?;
    let mut load = Load::default();
    for row in rows {
        if row.closing {
            load.closing += row.batches;
        } else {
            let demand = Demand {
                batches: row.batches,
                parts: row.parts,
                recipients: row.recipients,
            };
            load.add(row.priority, demand);
            let largest = &mut load.largest[row.priority as usize];
            *largest = row.parts.max(*largest);
        }
    }
    Ok(load)
}

/// Reads the turns that are ready, of schedules that run or are cancelled: those to close, then high
/// ones, then those with the least virtual time. Their batches are read by [`read_waiting`].
pub async fn read_turns(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Turn>> {
    let rows = sqlx::query!(
        r#"SELECT t.schedule_id AS "schedule_id: Uuid", t.virtual_parts, t.ready_at AS "ready_at: DateTime<Utc>",
             t.next_send_at AS "next_send_at: DateTime<Utc>", s.status AS "status: ScheduleStatus", s.priority AS "priority: Priority",
             s.parts, s.rate, s.send_window,
             COALESCE(s.send_until, s.run_at + INTERVAL s.send_within_s SECOND) AS "ends_at: DateTime<Utc>"
           FROM turns t STRAIGHT_JOIN schedules s ON s.id = t.schedule_id
           WHERE t.ready_at <= ? AND s.status IN ('running', 'cancelled')
           ORDER BY s.status = 'cancelled' DESC, s.priority = 'high' DESC, t.virtual_parts, t.schedule_id LIMIT ?"#,
        now,
        TURNS
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Turn {
            schedule_id: row.schedule_id,
            class: if row.ends_at.is_some_and(|end| end <= now)
                || row.status == ScheduleStatus::Cancelled
            {
                Class::Closing
            } else {
                Class::Sending(row.priority)
            },
            virtual_parts: row.virtual_parts,
            parts: row.parts,
            rate: row.rate,
            window: Window::of(row.send_window.as_deref()),
            ends_at: row.ends_at,
            seen: TurnTimes {
                ready_at: row.ready_at,
                next_send_at: row.next_send_at,
            },
            next_send_at: row.next_send_at,
            batches: Vec::new(),
            has_more: true,
        })
        .collect())
}

/// Returns the next batches of a schedule that wait, at most `most`; not one that a recheck owns, nor
/// one that is held behind a canary.
pub async fn read_waiting(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    most: u32,
) -> sqlx::Result<Vec<WaitingBatch>> {
    sqlx::query_as!(
        WaitingBatch,
        "SELECT batch_no, pending FROM batches FORCE INDEX (next_in_turn)
         WHERE schedule_id = ? AND waiting = 1 AND claim_token IS NULL
           AND batch_no <= COALESCE((SELECT IF(s.status = 'running', s.held_after, NULL) FROM schedules s WHERE s.id = ?), 4294967295)
         ORDER BY schedule_id, waiting, batch_no LIMIT ?",
        schedule_id,
        schedule_id,
        most
    )
    .fetch_all(connection)
    .await
}

/// A row of [`admit_batches`] and [`mark_enqueued`].
#[derive(Serialize)]
struct BatchRow {
    #[serde(rename = "i", serialize_with = "as_hex")]
    schedule_id: Uuid,
    #[serde(rename = "n")]
    batch_no: u32,
    #[serde(rename = "t", serialize_with = "as_datetime")]
    send_at: DateTime<Utc>,
    #[serde(rename = "s", serialize_with = "as_datetime")]
    sweep_at: DateTime<Utc>,
}

fn batch_rows(
    admitted: &[Admitted],
    sweep_at: impl Fn(&Admitted) -> DateTime<Utc>,
) -> Vec<BatchRow> {
    let row = |batch: &Admitted| BatchRow {
        schedule_id: batch.schedule_id,
        batch_no: batch.batch_no,
        send_at: batch.send_at,
        sweep_at: sweep_at(batch),
    };
    admitted.iter().map(row).collect()
}

/// Admits batches. Until they are marked as enqueued, the sweep may enqueue them: `sweep_at` is
/// before the due time, and for what is due soon it has passed.
pub async fn admit_batches(
    connection: &mut MySqlConnection,
    admitted: &[Admitted],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let rows = batch_rows(admitted, |batch| super::before_enqueued(batch.send_at, now));
    let done = sqlx::query!(
        // Of a batch that a worker has claimed meanwhile nothing waits any more.
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', n INT UNSIGNED PATH '$.n',
             t DATETIME(3) PATH '$.t', s DATETIME(3) PATH '$.s')) j
         SET b.waiting = 0, b.send_at = j.t, b.sweep_at = j.s, b.requeues = 0
         WHERE b.schedule_id = UNHEX(j.i) AND b.batch_no = j.n AND b.waiting = 1 AND b.claim_token IS NULL AND b.send_at IS NOT NULL",
        to_json(&rows)?
    );
    done.execute(connection).await.map(drop)
}

/// Marks batches as enqueued, so that the sweep checks them later, and only if they are still due.
/// Messages are sent before this mark: a crash between the two costs one duplicate message, never a
/// batch.
pub async fn mark_enqueued(db: &Db, enqueued: &[Admitted], backoff: &Backoff) -> sqlx::Result<()> {
    let rows = batch_rows(enqueued, |batch| batch.send_at + backoff.lost_after());
    let done = sqlx::query!(
        // A batch that was claimed since keeps the sweep_at of its claim. A recheck that is due too
        // may not be enqueued yet.
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', n INT UNSIGNED PATH '$.n',
             t DATETIME(3) PATH '$.t', s DATETIME(3) PATH '$.s')) j
         SET b.sweep_at = LEAST(j.s, COALESCE(b.check_at, j.s))
         WHERE b.schedule_id = UNHEX(j.i) AND b.batch_no = j.n AND b.claim_token IS NULL AND b.waiting = 0 AND b.send_at = j.t
           AND b.requeues = 0",
        to_json(&rows)?
    );
    done.execute(db).await.map(drop)
}

#[derive(Serialize)]
struct TurnRow {
    #[serde(rename = "i", serialize_with = "as_hex")]
    schedule_id: Uuid,
    #[serde(rename = "r", serialize_with = "as_datetime")]
    ready_at: DateTime<Utc>,
    #[serde(rename = "t", serialize_with = "as_datetime")]
    next_send_at: DateTime<Utc>,
    #[serde(rename = "v")]
    virtual_parts: u64,
    #[serde(rename = "o", serialize_with = "as_datetime")]
    seen_ready_at: DateTime<Utc>,
}

/// Writes turns that continue. A turn that a call has changed since it was read, by a cancel for
/// example, keeps what the call has written.
pub async fn write_turns(
    connection: &mut MySqlConnection,
    turns: &[TurnAfter],
) -> sqlx::Result<()> {
    let row = |turn: &TurnAfter| TurnRow {
        schedule_id: turn.schedule_id,
        ready_at: turn.times.ready_at,
        next_send_at: turn.times.next_send_at,
        virtual_parts: turn.virtual_parts,
        seen_ready_at: turn.seen.ready_at,
    };
    let rows: Vec<_> = turns.iter().map(row).collect();
    let done = sqlx::query!(
        "UPDATE turns t JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', r DATETIME(3) PATH '$.r', n DATETIME(3) PATH '$.t',
             v BIGINT UNSIGNED PATH '$.v', o DATETIME(3) PATH '$.o')) j
         SET t.ready_at = j.r, t.next_send_at = j.n, t.virtual_parts = j.v
         WHERE t.schedule_id = UNHEX(j.i) AND t.ready_at = j.o",
        to_json(&rows)?
    );
    done.execute(connection).await.map(drop)
}

/// Writes the carrier's virtual times and credit, and the number of open slots.
pub async fn write_carrier(
    connection: &mut MySqlConnection,
    columns: &CarrierColumns,
) -> sqlx::Result<()> {
    let [high, normal, bulk] = columns.shares.virtual_parts;
    let done = sqlx::query!(
        "UPDATE carriers SET open_slots = ?, bulk_credit = ?, high_virtual_parts = ?, normal_virtual_parts = ?, bulk_virtual_parts = ? WHERE name = ?",
        columns.open_slots,
        columns.shares.bulk_credit,
        high,
        normal,
        bulk,
        CARRIER
    );
    done.execute(connection).await.map(drop)
}
