//! A flush: one transaction that records the requests that have ended and marks those that start
//! next. Mostly it is a single statement by range.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::{
        claim::Claim,
        in_place::FlushInPlace,
        rows::{self, BatchRow, FlushRow, Step},
    },
    message::status::Status,
    platform::{
        budget::Budget,
        db::{Db, describe::describe_one, retry_lock_conflicts, transaction::transaction_if},
    },
};
use sqlx::MySqlConnection;

use super::{Pass, start::StartingRequest};
use crate::{lateness::OUTAGE, store};

/// The pause between two attempts to record an answer that the database does not accept. A failover
/// lasts seconds, and the answers must not be lost.
const WRITE_PAUSE: Duration = Duration::from_millis(500);
/// The carrier's last acceptance is recorded this often, for all batches together.
const PROGRESS_EVERY: TimeDelta = TimeDelta::seconds(5);

impl Pass<'_> {
    /// Records the answers so far and marks the requests that start. Returns whether they may
    /// start.
    pub(super) async fn flush(&mut self, starting: &[StartingRequest]) -> anyhow::Result<bool> {
        let mut marks: Vec<_> = places(starting).map(|at| mark(&self.rows[at])).collect();
        marks.sort_unstable_by_key(|mark| mark.seq);
        let mut rows = std::mem::take(&mut self.unrecorded);
        if self.flush_in_place(&rows, &marks).await {
            self.apply_marks(starting);
            return Ok(true);
        }
        rows.append(&mut marks);
        let writing = write_until_recorded(&self.sender.worker.db, self.claim, self.budget, &rows);
        let written = self.requests.go_on_during(writing).await;
        let written = written.context("recording and marking")?;
        if written.matched == rows.len() as u64 && !written.lost {
            self.apply_marks(starting);
            return Ok(true);
        }
        // The claim is lost, the schedule is paused or cancelled, or another process has changed a
        // row: nothing more starts.
        let batch = self.claim.batch;
        tracing::warn!(schedule.id = %batch.schedule_id, batch.no = batch.batch_no, claim.lost = written.lost, "stopped inside a batch");
        self.summary.stopped = true;
        let unmarks = places(starting).map(|at| unmark(&self.rows[at])).collect();
        self.unmark(unmarks).await;
        Ok(false)
    }

    /// Takes back the marks of requests that do not start, at once: if the claim is taken away before,
    /// for example by a change of one recipient, the marked ones become UNCERTAIN.
    async fn unmark(&mut self, unmarks: Vec<FlushRow>) {
        if unmarks.is_empty() {
            return;
        }
        let (db, claim) = (&self.sender.worker.db, self.claim);
        match self.requests.go_on_during(write(db, claim, &unmarks)).await {
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = describe_one(&error), "unmarking failed, retrying");
                self.unrecorded.extend(unmarks);
            }
        }
    }

    /// Writes a flush in one statement, if that is possible. Returns false if not all of it is
    /// written: then the transaction decides, in which rows that are written do not match again.
    async fn flush_in_place(&mut self, answers: &[FlushRow], marks: &[FlushRow]) -> bool {
        let Some(flush) = FlushInPlace::of(answers, marks, self.rows) else {
            return false;
        };
        let (db, claim) = (&self.sender.worker.db, self.claim);
        let writing = retry_lock_conflicts(|| flush.write(db, claim, db.now()));
        match self.requests.go_on_during(writing).await {
            Ok(matched) => matched == flush.row_count(),
            Err(error) => {
                tracing::warn!(error = describe_one(&error), "recording failed, retrying");
                false
            }
        }
    }

    /// Updates the rows in memory to what the marks have written.
    fn apply_marks(&mut self, starting: &[StartingRequest]) {
        let now = self.sender.worker.db.now();
        for at in places(starting) {
            let row = &mut self.rows[at];
            row.resends += u32::from(mark(row).resend);
            row.attempt += 1;
            row.status = Status::Sending;
            row.sent_at = Some(now);
        }
    }

    /// Records that the carrier accepts messages, if that was not recorded for some seconds. Without
    /// this record others only wait longer until they notice the end of an outage.
    pub(super) async fn record_progress(&mut self) {
        let now = self.sender.worker.db.now();
        let recorded_before = now - PROGRESS_EVERY;
        let is_due = self.progress_at.is_none_or(|at| at <= recorded_before);
        if !std::mem::take(&mut self.has_unrecorded_acceptances) || !is_due {
            return;
        }
        let db = &self.sender.worker.db;
        let recording = store::record_progress(db, now, recorded_before, now - OUTAGE);
        match self.requests.go_on_during(recording).await {
            Ok(()) => self.progress_at = Some(now),
            Err(error) => {
                tracing::warn!(error = describe_one(&error), "progress not recorded");
            }
        }
    }
}

/// Returns the places of the recipients of several requests.
fn places(starting: &[StartingRequest]) -> impl Iterator<Item = usize> {
    starting
        .iter()
        .flat_map(|starting| starting.request.iter().copied())
}

/// The result of a flush.
struct Written {
    /// The number of rows that matched.
    matched: u64,
    /// The claim is lost.
    lost: bool,
}

/// Writes a flush, and retries it while the database fails and time is left.
///
/// An answer that is not recorded becomes UNCERTAIN. If a commit succeeded although it reported an
/// error, its rows do not match the second time, and the pass stops.
async fn write_until_recorded(
    db: &Db,
    claim: &Claim,
    budget: Budget,
    rows: &[FlushRow],
) -> sqlx::Result<Written> {
    loop {
        match write(db, claim, rows).await {
            Err(error) if budget.remaining() > WRITE_PAUSE * 2 => {
                tracing::warn!(error = describe_one(&error), "recording failed, retrying");
                tokio::time::sleep(WRITE_PAUSE).await;
            }
            other => return other,
        }
    }
}

async fn write(db: &Db, claim: &Claim, rows: &[FlushRow]) -> sqlx::Result<Written> {
    transaction_if(
        db,
        |_| true,
        |error| Some(error),
        |transaction| Box::pin(async move { write_rows(transaction, claim, rows, db.now()).await }),
    )
    .await
}

async fn write_rows(
    connection: &mut MySqlConnection,
    claim: &Claim,
    rows: &[FlushRow],
    now: DateTime<Utc>,
) -> sqlx::Result<Written> {
    let has_answers = rows.iter().any(|row| row.step == Step::Answer);
    let lost = has_answers && rows::make_due_if_lease_lost(connection, claim, now).await?;
    let has_resends = rows
        .iter()
        .any(|row| row.step == Step::Mark && row.attempt > 0);
    if has_resends {
        rows::keep_attempts(connection, claim, rows).await?;
    }
    if lost {
        rows::record_late_answers(connection, claim.batch, rows).await?;
    }
    let matched = rows::flush(connection, claim, rows, now).await?;
    Ok(Written { matched, lost })
}

fn mark(row: &BatchRow) -> FlushRow {
    FlushRow {
        resend: u8::from(row.status != Status::Pending),
        ..flush_row(row, row.attempt, Step::Mark, Status::Sending)
    }
}

fn unmark(row: &BatchRow) -> FlushRow {
    flush_row(row, row.attempt + 1, Step::Unmark, Status::Pending)
}

/// Returns a row of a flush that applies if the recipient is at `attempt`.
pub(super) fn flush_row(row: &BatchRow, attempt: u32, step: Step, status: Status) -> FlushRow {
    FlushRow {
        seq: row.seq,
        attempt,
        step,
        resend: 0,
        status,
        message_id: None,
        error: None,
        is_final: 0,
    }
}
