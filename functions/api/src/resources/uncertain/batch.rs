//! The decision on one batch: a transaction that locks the schedule's row, the batch's and the
//! recipients', in this order.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::platform::queue::BatchMessage;
use shared::schedule::{lifecycle::reopen_schedule, status::ScheduleStatus};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{error::ApiError, problems},
    resources::{
        schedules::{
            state::conflict,
            store::{LockedSchedule, batches::count_uncertain, lock_schedule},
        },
        uncertain::{
            request::Outcome,
            store::{
                LockedBatch, Uncertain, close_as_sent, lock_batch, lock_uncertain, make_due,
                recount_batch, send_again,
            },
        },
    },
};

/// The number of recipients that a decision changed, the numbers that it did not change, and the
/// numbers that wait before they are sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Tally {
    /// Resolved.
    pub changed: u64,
    /// Not changed, by the reason.
    pub left: UnchangedRecipients,
    /// When the last of those in `left.too_recent` can be resolved; null if there is none.
    pub too_recent_until: Option<DateTime<Utc>>,
    /// Of those to be sent again: their batch was found too late, and they wait with it for
    /// `send-now`.
    pub held: u64,
    /// Of those to be sent again: their batch is parked, and they wait for its `retry`.
    pub parked: u64,
}

/// The numbers of recipients that were not changed, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct UnchangedRecipients {
    /// A worker owns their batch.
    pub busy: u64,
    /// Their request may still be on its way.
    pub too_recent: u64,
    /// They are not UNCERTAIN.
    pub not_uncertain: u64,
    /// Their number is that of several recipients: name their places.
    pub ambiguous: u64,
    /// They are not in this schedule.
    pub not_found: u64,
}

impl Tally {
    /// Adds another tally to this one.
    pub fn add(&mut self, other: Self) {
        self.too_recent_until = self.too_recent_until.max(other.too_recent_until);
        self.changed += other.changed;
        self.left.busy += other.left.busy;
        self.left.too_recent += other.left.too_recent;
        self.left.not_uncertain += other.left.not_uncertain;
        self.left.ambiguous += other.left.ambiguous;
        self.left.not_found += other.left.not_found;
        self.held += other.held;
        self.parked += other.parked;
    }
}

/// Resolves the UNCERTAIN recipients of a batch, or the named ones of them.
pub async fn resolve_batch(
    app: &App,
    caller: &Caller,
    batch: BatchMessage,
    seqs: Option<&[u32]>,
    outcome: Outcome,
) -> Result<Tally, ApiError> {
    audited_transaction(&app.db, caller, |mut transaction| {
        Box::pin(async move {
            let decision = Decision {
                id: batch.schedule_id,
                batch_no: batch.batch_no,
                seqs,
                outcome,
                now: app.db.now(),
            };
            decision.write(app, &mut transaction).await
        })
    })
    .await
}

struct Decision<'a> {
    id: Uuid,
    batch_no: u32,
    seqs: Option<&'a [u32]>,
    outcome: Outcome,
    now: DateTime<Utc>,
}

impl Decision<'_> {
    async fn write(
        &self,
        app: &App,
        db: &mut MySqlConnection,
    ) -> Result<(Tally, Option<Change<'static>>), ApiError> {
        let schedule = lock_schedule(db, self.id)
            .await?
            .ok_or_else(ApiError::no_such_schedule)?;
        if self.outcome == Outcome::Resend && schedule.status == ScheduleStatus::Cancelled {
            let detail = "expected a schedule that is not cancelled; recipients of this one can only be resolved as sent";
            return Err(conflict(
                &problems::WRONG_STATE,
                &schedule,
                detail.to_owned(),
            ));
        }
        let Some(batch) = lock_batch(db, self.id, self.batch_no, self.now).await? else {
            return Ok((Tally::default(), None));
        };
        if batch.owned {
            return Ok((self.count_busy(db, &batch).await?, None));
        }
        let rows = lock_uncertain(db, self.id, batch.first_seq..=batch.last_seq).await?;
        let (seqs, mut tally) = self.choose(app, &rows);
        if seqs.is_empty() {
            return Ok((tally, None));
        }
        tally.changed = self.change(db, &schedule, &batch, &seqs).await?;
        if self.outcome == Outcome::Resend {
            tally.held = if batch.held { tally.changed } else { 0 };
            tally.parked = if batch.parked { tally.changed } else { 0 };
        }
        let before = json!({"status": "UNCERTAIN"});
        let after = json!({"outcome": self.outcome, "batch_no": self.batch_no, "changed": tally.changed, "seqs": seqs});
        let change = Change::of_schedule("schedule.resolve", self.id, before, after);
        Ok((tally, Some(change)))
    }

    /// Counts the recipients of a batch that a worker owns as busy. The owner may find out or
    /// record their state at the same time, so no decision is made. Locks nothing.
    async fn count_busy(
        &self,
        db: &mut MySqlConnection,
        batch: &LockedBatch,
    ) -> Result<Tally, ApiError> {
        let uncertain = count_uncertain(db, self.id, batch.first_seq..=batch.last_seq).await?;
        let busy = self.seqs.map_or(uncertain.count, |seqs| seqs.len() as u64);
        Ok(Tally {
            left: UnchangedRecipients {
                busy,
                ..UnchangedRecipients::default()
            },
            ..Tally::default()
        })
    }

    /// Returns the recipients to resolve, and the numbers of those that stay, by the reason.
    fn choose(&self, app: &App, rows: &[Uncertain]) -> (Vec<u32>, Tally) {
        let named: Option<HashSet<u32>> = self.seqs.map(|seqs| seqs.iter().copied().collect());
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| named.as_ref().is_none_or(|named| named.contains(&row.seq)))
            .collect();
        // A request that may still be on its way could arrive after the message was sent again.
        let quiet = |row: &Uncertain| {
            self.outcome == Outcome::Sent || row.sent_at <= self.now - app.quiet_time
        };
        let seqs: Vec<_> = rows
            .iter()
            .filter(|row| quiet(row))
            .map(|row| row.seq)
            .collect();
        let not_uncertain = named.map_or(0, |named| named.len() - rows.len()) as u64;
        let left = UnchangedRecipients {
            too_recent: (rows.len() - seqs.len()) as u64,
            not_uncertain,
            ..UnchangedRecipients::default()
        };
        let too_recent = rows.iter().filter(|row| !quiet(row));
        let too_recent_until = too_recent.map(|row| row.sent_at + app.quiet_time).max();
        (
            seqs,
            Tally {
                left,
                too_recent_until,
                ..Tally::default()
            },
        )
    }

    async fn change(
        &self,
        db: &mut MySqlConnection,
        schedule: &LockedSchedule,
        batch: &LockedBatch,
        seqs: &[u32],
    ) -> Result<u64, ApiError> {
        let changed = match self.outcome {
            Outcome::Sent => close_as_sent(db, self.id, seqs, self.now).await?,
            Outcome::Resend => send_again(db, self.id, seqs).await?,
        };
        recount_batch(db, self.id, self.batch_no, batch, self.now).await?;
        if self.outcome == Outcome::Resend && !batch.held {
            // Resuming adds the length of the pause, so recipients that are decided during a pause
            // count as planned for its beginning.
            let planned_at = schedule.paused_at.unwrap_or(self.now);
            let batch_key = BatchMessage {
                schedule_id: self.id,
                batch_no: self.batch_no,
            };
            make_due(db, batch_key, planned_at, self.now).await?;
        }
        reopen_schedule(db, self.id).await?;
        Ok(changed)
    }
}
