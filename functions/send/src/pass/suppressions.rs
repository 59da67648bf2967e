//! Skips recipients that have opted out, as late as possible at little cost: opt-outs are read with
//! the rows of the batch, and again when the last read is some seconds old.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use shared::{
    batch::{
        SeqRange, brake,
        rows::{FlushRow, Step},
        suppressions::suppressed_in_range,
    },
    message::status::Status,
    platform::db::describe::describe_one,
};

use super::{Pass, flush::flush_row};

/// An opt-out that is older than this when a message is marked is honored.
const MAX_AGE: Duration = Duration::from_secs(2);

/// Remembers when opt-outs were last read.
pub struct SuppressionCheck {
    read_at: Instant,
    /// Who had opted out at that time is skipped.
    is_done: bool,
}

impl SuppressionCheck {
    /// Returns a check of opt-outs that were read with the rows of the batch.
    pub const fn of_rows(read_at: Instant) -> Self {
        Self {
            read_at,
            is_done: false,
        }
    }

    fn is_fresh(&self) -> bool {
        self.read_at.elapsed() < MAX_AGE
    }
}

impl Pass<'_> {
    /// Ends the pass if all sending was stopped meanwhile. Checked as often as opt-outs are read.
    async fn obey_brake(&mut self) {
        let reading = brake::is_set(&self.sender.worker.db);
        match self.requests.go_on_during(reading).await {
            Ok(false) => {}
            Ok(true) => {
                tracing::warn!(schedule.id = %self.claim.batch.schedule_id, batch.no = self.claim.batch.batch_no, "sending is stopped; stopped inside a batch");
                self.summary.stopped = true;
            }
            Err(error) => {
                tracing::warn!(
                    error = describe_one(&error),
                    "the brake can't be read; stopped inside a batch"
                );
                self.summary.stopped = true;
            }
        }
    }

    /// Removes suppressed recipients from the queue. A recipient that was never sent to becomes
    /// SUPPRESSED; one whose last attempt ended keeps its status.
    pub(super) async fn skip_suppressed(&mut self) {
        let is_fresh = self.suppressions.is_fresh();
        let is_done = self.suppressions.is_done && is_fresh;
        if !self.requests.has_waiting() || is_done || self.summary.stopped {
            return;
        }
        let suppressed = if is_fresh {
            self.suppressed_when_read()
        } else {
            self.obey_brake().await;
            if self.summary.stopped {
                return;
            }
            match self.read_suppressed().await {
                Ok(suppressed) => suppressed,
                Err(error) => {
                    // Without this list nothing is sent; answers are still recorded.
                    tracing::warn!(
                        error = describe_one(&error),
                        "opt-outs can't be read; stopped inside a batch"
                    );
                    self.summary.stopped = true;
                    return;
                }
            }
        };
        self.suppressions.is_done = true;
        if suppressed.is_empty() {
            return;
        }
        let rows = &mut *self.rows;
        for at in self
            .requests
            .remove(|at| suppressed.contains(&rows[at].phone))
        {
            let row = &mut rows[at];
            if row.status == Status::Pending {
                self.unrecorded.push(FlushRow {
                    is_final: 1,
                    ..flush_row(row, row.attempt, Step::Skip, Status::Suppressed)
                });
                row.status = Status::Suppressed;
            }
        }
    }

    /// Returns the numbers that were suppressed when the rows of the batch were read.
    fn suppressed_when_read(&self) -> HashSet<String> {
        let suppressed = self.rows.iter().filter(|row| row.suppressed);
        suppressed.map(|row| row.phone.clone()).collect()
    }

    async fn read_suppressed(&mut self) -> sqlx::Result<HashSet<String>> {
        let waiting = self.requests.waiting().map(|at| self.rows[at].seq);
        let range = waiting.fold(SeqRange::new(u32::MAX, 0), |range, seq| {
            SeqRange::new(range.first.min(seq), range.last.max(seq))
        });
        let read_at = Instant::now();
        let reading = suppressed_in_range(&self.sender.worker.db, self.claim.batch, range);
        let suppressed = self.requests.go_on_during(reading).await?;
        self.suppressions.read_at = read_at;
        Ok(suppressed.into_iter().collect())
    }
}
