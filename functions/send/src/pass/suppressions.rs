//! Skips recipients that have opted out, as late as possible at little cost: one statement when a
//! pass starts, and another one when the last read is some seconds old.

use std::{collections::HashSet, time::Duration};

use shared::{
    batch::{
        rows::{FlushRow, Step},
        suppressions::suppressed_among,
    },
    message::status::Status,
    platform::db::{Db, describe::describe_one},
};
use tokio::time::Instant;

use super::{Pass, flush::flush_row};

/// An opt-out that is older than this when a message is marked is honored.
const MAX_AGE: Duration = Duration::from_secs(2);

/// Remembers when opt-outs were last read.
#[derive(Default)]
pub struct SuppressionCheck {
    read_at: Option<Instant>,
}

impl SuppressionCheck {
    fn is_fresh(&self) -> bool {
        self.read_at.is_some_and(|at| at.elapsed() < MAX_AGE)
    }
}

impl Pass<'_> {
    /// Removes suppressed recipients from the queue. A recipient that was never sent to becomes
    /// SUPPRESSED; one whose last attempt ended keeps its status.
    pub(super) async fn skip_suppressed(&mut self) {
        if !self.requests.has_waiting() || self.suppressions.is_fresh() || self.summary.stopped {
            return;
        }
        let waiting = self.requests.waiting();
        let phones: Vec<_> = waiting.map(|at| self.rows[at].phone.as_str()).collect();
        let reading = read_suppressed(&self.sender.worker.db, &phones);
        let suppressed = match self.requests.go_on_during(reading).await {
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
        };
        self.suppressions.read_at = Some(Instant::now());
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
}

async fn read_suppressed(db: &Db, phones: &[&str]) -> sqlx::Result<HashSet<String>> {
    let mut connection = db.acquire().await?;
    let suppressed = suppressed_among(&mut connection, phones).await?;
    Ok(suppressed.into_iter().collect())
}
