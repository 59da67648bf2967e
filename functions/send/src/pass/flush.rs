//! A flush: one transaction that records what has ended and marks what starts next.

use std::time::Duration;

use anyhow::Context;
use shared::{
    batch::rows::{self, BatchRow, FlushRow, Step},
    message::status::Status,
    platform::db::{self, describe::describe_one},
};
use sqlx::MySqlConnection;

use crate::pass::{Pass, Request};

/// The pause between two attempts to record an answer that the database does not accept. A failover
/// lasts seconds, and the answers must not be lost.
const WRITE_PAUSE: Duration = Duration::from_millis(500);

impl Pass<'_> {
    /// Records and marks. True: the requests may start.
    pub(super) async fn flush(&mut self, starting: &[Request]) -> anyhow::Result<bool> {
        let marks = starting.iter().flatten().map(|&at| mark(&self.rows[at]));
        let mut rows = std::mem::take(&mut self.unrecorded);
        rows.extend(marks);
        let written = self
            .write_patiently(&rows)
            .await
            .context("recording and marking")?;
        if written.matched == rows.len() as u64 && !written.lost {
            self.note_marks(starting);
            return Ok(true);
        }
        // The claim is lost, the schedule paused or cancelled, or a row has been changed by somebody: start nothing more.
        let batch = self.claim.batch;
        tracing::warn!(schedule.id = %batch.schedule_id, batch.no = batch.batch_no, claim.lost = written.lost, "stopped inside a batch");
        self.stopped = true;
        self.unrecorded
            .extend(starting.iter().flatten().map(|&at| unmark(&self.rows[at])));
        Ok(false)
    }

    /// An answer that can't be recorded becomes UNCERTAIN, so a database that fails is asked again for as long as there is time. What a
    /// lost commit has written already does not match the second time, and stops the pass.
    async fn write_patiently(&self, rows: &[FlushRow]) -> sqlx::Result<Written> {
        loop {
            match db::retry_lock_conflicts(|| self.write(rows)).await {
                Err(error) if self.budget.remaining() > WRITE_PAUSE * 2 => {
                    tracing::warn!(
                        error = describe_one(&error),
                        "recording failed, trying again"
                    );
                    tokio::time::sleep(WRITE_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn write(&self, rows: &[FlushRow]) -> sqlx::Result<Written> {
        let mut transaction = self.sender.worker.db.pool.begin().await?;
        let written = self.write_rows(&mut transaction, rows).await;
        // Never left to the drop: a frozen environment would keep the locks.
        match written {
            Ok(_) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        written
    }

    async fn write_rows(
        &self,
        db: &mut MySqlConnection,
        rows: &[FlushRow],
    ) -> sqlx::Result<Written> {
        let now = self.sender.worker.db.now();
        let answers = rows.iter().any(|row| row.step == Step::Answer);
        let lost = answers && rows::make_due_if_lease_lost(db, self.claim, now).await?;
        if rows
            .iter()
            .any(|row| row.step == Step::Mark && row.attempt > 0)
        {
            rows::keep_attempts(db, self.claim, rows).await?;
        }
        if lost {
            rows::record_late_answers(db, self.claim.batch, rows).await?;
        }
        Ok(Written {
            matched: rows::flush(db, self.claim, rows, now).await?,
            lost,
        })
    }

    fn note_marks(&mut self, starting: &[Request]) {
        let now = self.sender.worker.db.now();
        for &at in starting.iter().flatten() {
            let row = &mut self.rows[at];
            row.resends += u32::from(mark(row).resend);
            row.attempt += 1;
            row.status = Status::Sending;
            row.sent_at = Some(now);
        }
    }
}

struct Written {
    matched: u64,
    lost: bool,
}

fn mark(row: &BatchRow) -> FlushRow {
    let resend = u8::from(row.status != Status::Pending);
    flush_row(row, row.attempt, Step::Mark, (Status::Sending, resend))
}

fn unmark(row: &BatchRow) -> FlushRow {
    flush_row(row, row.attempt + 1, Step::Unmark, (Status::Pending, 0))
}

pub(super) fn flush_row(
    row: &BatchRow,
    attempt: u32,
    step: Step,
    (status, resend): (Status, u8),
) -> FlushRow {
    FlushRow {
        seq: row.seq,
        attempt,
        step,
        resend,
        status,
        message_id: None,
        error: None,
        is_final: 0,
    }
}
