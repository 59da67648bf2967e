//! A flush: it records the requests that have ended and marks those that start next. Mostly it is a
//! single statement by range; what that cannot write, a transaction writes.

mod transaction;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::{
        in_place::FlushInPlace,
        rows::{BatchRow, FlushRow, Step},
    },
    message::status::Status,
    platform::{
        db::{describe::describe_one, retry_lock_conflicts},
        fault::{self, Point},
    },
};

use self::transaction::{FlushTransaction, InPlace};
use super::{Pass, start::StartingRequest};
use crate::{lateness::OUTAGE, store};

/// The carrier's last acceptance is recorded this often, for all batches together.
const PROGRESS_EVERY: TimeDelta = TimeDelta::seconds(5);

impl Pass<'_> {
    /// Records the answers so far and marks the requests that start. Returns whether they may
    /// start; if not, no mark of them is left.
    pub(super) async fn flush(&mut self, starting: &[StartingRequest]) -> anyhow::Result<bool> {
        let mut marks: Vec<_> = places(starting).map(|at| mark(&self.rows[at])).collect();
        marks.sort_unstable_by_key(|mark| mark.seq);
        let answers = std::mem::take(&mut self.unrecorded);
        // One time for all tries: with the attempt it names the marks of this flush.
        let marked_at = self.sender.worker.db.now();
        let in_place = self.flush_in_place(&answers, &marks, marked_at).await;
        if in_place == InPlace::All {
            self.apply_marks(starting, marked_at);
            return Ok(true);
        }
        if in_place == InPlace::Part && !marks.is_empty() {
            fault::reach(Point::MarkedInPart, self.claim.batch).await;
        }
        let transaction = FlushTransaction {
            db: &self.sender.worker.db,
            claim: self.claim,
            budget: self.budget,
            answers: &answers,
            marks: &marks,
            marked_at,
        };
        // On the heap, because mostly it is not needed.
        let writing = Box::pin(transaction.write_until_recorded(in_place));
        let is_whole = self.requests.go_on_during(writing).await;
        if is_whole.context("recording and marking")? {
            self.apply_marks(starting, marked_at);
            return Ok(true);
        }
        // The claim is lost, the schedule is paused or cancelled, or another process has changed a
        // row: nothing more starts.
        let batch = self.claim.batch;
        tracing::warn!(schedule.id = %batch.schedule_id, batch.no = batch.batch_no, "stopped inside a batch");
        self.summary.stopped = true;
        Ok(false)
    }

    /// Writes a flush in one statement, if that is possible. What it does not write, the transaction
    /// writes, in which rows that are written do not match again.
    async fn flush_in_place(
        &mut self,
        answers: &[FlushRow],
        marks: &[FlushRow],
        marked_at: DateTime<Utc>,
    ) -> InPlace {
        let Some(flush) = FlushInPlace::of(answers, marks, self.rows) else {
            return InPlace::Nothing;
        };
        let (db, claim) = (&self.sender.worker.db, self.claim);
        let writing = retry_lock_conflicts(|| flush.write(db, claim, marked_at));
        match self.requests.go_on_during(writing).await {
            Ok(0) => InPlace::Nothing,
            Ok(matched) if matched == flush.row_count() => InPlace::All,
            Ok(_) => InPlace::Part,
            Err(error) => {
                tracing::warn!(error = describe_one(&error), "recording failed, retrying");
                InPlace::Unknown
            }
        }
    }

    /// Updates the rows in memory to what the marks have written.
    fn apply_marks(&mut self, starting: &[StartingRequest], marked_at: DateTime<Utc>) {
        for at in places(starting) {
            let row = &mut self.rows[at];
            row.resends += u32::from(mark(row).resend);
            row.attempt += 1;
            row.status = Status::Sending;
            row.sent_at = Some(marked_at);
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

fn mark(row: &BatchRow) -> FlushRow {
    FlushRow {
        resend: u8::from(row.status != Status::Pending),
        ..flush_row(row, row.attempt, Step::Mark, Status::Sending)
    }
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
