//! Who has opted out is left out, as late as it can be done at little cost: one statement when a pass begins, and again when the last look
//! is some seconds old.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use shared::{
    batch::{rows::Step, suppressions::suppressed_among},
    message::status::Status,
    platform::db::describe::describe_one,
};
use tokio::time::Instant;

use crate::pass::{Pass, flush::flush_row};

/// An opt-out that is older than this when a message is marked is honoured.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Pass<'_> {
    /// Takes out of what waits whom nobody may be sent to: what was never sent becomes SUPPRESSED, what ended before stays as it is.
    pub(super) async fn leave_out_suppressed(&mut self) {
        let fresh = self.looked_at.is_some_and(|at| at.elapsed() < LOOK_AGAIN);
        if self.waiting.is_empty() || fresh || self.stopped {
            return;
        }
        let suppressed = match self.look().await {
            Ok(suppressed) => suppressed,
            Err(error) => {
                // Without an answer nobody is sent to; what has been sent is recorded all the same.
                tracing::warn!(
                    error = describe_one(&error),
                    "opt-outs can't be read; stopped inside a batch"
                );
                self.stopped = true;
                return;
            }
        };
        self.looked_at = Some(Instant::now());
        if suppressed.is_empty() {
            return;
        }
        let (out, waiting): (VecDeque<_>, _) = self
            .waiting
            .iter()
            .partition(|&&at| suppressed.contains(&self.rows[at].phone));
        self.waiting = waiting;
        for at in out {
            if self.rows[at].status == Status::Pending {
                let mut row = flush_row(
                    &self.rows[at],
                    self.rows[at].attempt,
                    Step::Skip,
                    (Status::Suppressed, 0),
                );
                row.is_final = 1;
                self.unrecorded.push(row);
                self.rows[at].status = Status::Suppressed;
            }
        }
    }

    async fn look(&self) -> sqlx::Result<HashSet<String>> {
        let phones: Vec<&str> = self
            .waiting
            .iter()
            .map(|&at| self.rows[at].phone.as_str())
            .collect();
        let mut connection = self.sender.worker.db.pool.acquire().await?;
        Ok(suppressed_among(&mut connection, &phones)
            .await?
            .into_iter()
            .collect())
    }
}
