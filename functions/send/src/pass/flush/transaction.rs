//! The transaction of a flush: all of its answers and marks, or its answers alone.
//!
//! Marks that are not complete are of no use, because their requests do not start. Those that the
//! statement by range has committed, or may have, are taken back. That needs no claim, which may be
//! lost meanwhile: a mark is named by its attempt and its time, and no other flush has both.

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::{
    batch::{
        claim::Claim,
        rows::{self, FlushRow, FlushTimes, Step},
    },
    message::status::Status,
    platform::{
        budget::Budget,
        db::{Db, describe::describe_one, transaction::transaction_if},
    },
};
use sqlx::MySqlConnection;

/// The pause between two attempts to record an answer that the database does not accept. A failover
/// lasts seconds, and the answers must not be lost.
const WRITE_PAUSE: Duration = Duration::from_millis(500);

/// What a flush has committed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InPlace {
    /// Nothing.
    Nothing,
    /// Some of its rows.
    Part,
    /// The database did not answer: nothing, or all that matched.
    Unknown,
    /// All of its rows.
    All,
}

/// A flush that is written in transactions.
pub struct FlushTransaction<'a> {
    /// The database.
    pub db: &'a Db,
    /// The claim of the pass.
    pub claim: &'a Claim,
    /// The time left to the invocation.
    pub budget: Budget,
    /// Answers, and recipients that are skipped.
    pub answers: &'a [FlushRow],
    /// The recipients of the requests that start.
    pub marks: &'a [FlushRow],
    /// The time of the marks.
    pub marked_at: DateTime<Utc>,
}

impl FlushTransaction<'_> {
    /// Writes the flush, and retries it while the database fails and time is left. `written`: what
    /// the statement by range has written.
    ///
    /// Returns whether all of it is written under the claim. If not, no mark of it is left.
    ///
    /// An answer that is not recorded becomes UNCERTAIN. If a commit succeeded although it reported
    /// an error, its rows do not match the second time, and the pass stops.
    pub async fn write_until_recorded(&self, mut written: InPlace) -> sqlx::Result<bool> {
        loop {
            match self.write(&mut written).await {
                Err(error) if self.budget.remaining() > WRITE_PAUSE * 2 => {
                    tracing::warn!(error = describe_one(&error), "recording failed, retrying");
                    tokio::time::sleep(WRITE_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// Writes all rows or, if they do not all match, the answers alone.
    async fn write(&self, written: &mut InPlace) -> sqlx::Result<bool> {
        if self.marks.is_empty() {
            return self.write_rows(self.answers, true).await;
        }
        // A mark that is written does not match again.
        if *written != InPlace::Part {
            match self
                .write_rows(&[self.answers, self.marks].concat(), false)
                .await
            {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => {
                    *written = InPlace::Unknown;
                    return Err(error);
                }
            }
        }
        let mut rows = self.answers.to_vec();
        if *written != InPlace::Nothing {
            rows.extend(self.marks.iter().map(unmark));
        }
        if !rows.is_empty() {
            self.write_rows(&rows, true).await?;
        }
        Ok(false)
    }

    /// Writes these rows. Returns whether all of them matched under the claim; if not, they are
    /// written if `keeps_part` holds, and rolled back otherwise.
    async fn write_rows(&self, rows: &[FlushRow], keeps_part: bool) -> sqlx::Result<bool> {
        let Self {
            db,
            claim,
            marked_at,
            ..
        } = *self;
        transaction_if(
            db,
            |is_whole| *is_whole || keeps_part,
            |error| Some(error),
            |transaction| {
                Box::pin(async move {
                    let now = db.now();
                    let times = FlushTimes { marked_at, now };
                    write_rows(transaction, claim, rows, times).await
                })
            },
        )
        .await
    }
}

async fn write_rows(
    connection: &mut MySqlConnection,
    claim: &Claim,
    rows: &[FlushRow],
    times: FlushTimes,
) -> sqlx::Result<bool> {
    let has_facts = rows
        .iter()
        .any(|row| matches!(row.step, Step::Answer | Step::Unmark));
    let lost = has_facts && rows::make_due_if_lease_lost(connection, claim, times.now).await?;
    let has_resends = rows
        .iter()
        .any(|row| row.step == Step::Mark && row.attempt > 0);
    if has_resends {
        rows::keep_attempts(connection, claim, rows).await?;
    }
    if lost {
        rows::record_late_answers(connection, claim.batch, rows).await?;
    }
    let matched = rows::flush(connection, claim, rows, times).await?;
    Ok(matched == rows.len() as u64 && !lost)
}

/// Returns the row that takes a mark back.
fn unmark(mark: &FlushRow) -> FlushRow {
    FlushRow {
        attempt: mark.attempt + 1,
        step: Step::Unmark,
        resend: 0,
        status: Status::Pending,
        ..mark.clone()
    }
}
