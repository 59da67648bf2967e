//! The decision on one batch: a transaction that locks the schedule's row, the batch's and the recipients', in this order.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
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
            store::{LockedSchedule, batches::uncertain_in, lock_schedule},
        },
        uncertain::{
            request::Outcome,
            store::{
                LockedBatch, Uncertain, close_as_sent, lock_batch, lock_uncertain, recount_batch,
                send_again, send_soon,
            },
        },
    },
};

/// How many recipients a decision changed, how many it left as they were, and what those wait for that are to be sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Tally {
    /// Resolved.
    pub changed: u64,
    /// Left, by the reason.
    pub left: Left,
    /// Of those to be sent again: their batch was found too late, and they wait with it for `send-now`.
    pub held: u64,
    /// Likewise: their batch is parked, and they wait for its `retry`.
    pub parked: u64,
}

/// Why recipients were left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "RecipientsLeft")]
pub struct Left {
    /// Somebody works on their batch.
    pub busy: u64,
    /// Their request may still be on its way.
    pub too_recent: u64,
    /// They are not UNCERTAIN.
    pub not_uncertain: u64,
    /// They are not in this schedule.
    pub not_found: u64,
}

impl Tally {
    /// Both together.
    pub const fn add(&mut self, other: Self) {
        self.changed += other.changed;
        self.left.busy += other.left.busy;
        self.left.too_recent += other.left.too_recent;
        self.left.not_uncertain += other.left.not_uncertain;
        self.left.not_found += other.left.not_found;
        self.held += other.held;
        self.parked += other.parked;
    }
}

/// Resolves the UNCERTAIN recipients of a batch, or those of them that are named.
pub async fn resolve_batch(
    app: &App,
    caller: &Caller,
    (id, batch_no): (Uuid, u32),
    seqs: Option<&[u32]>,
    outcome: Outcome,
) -> Result<Tally, ApiError> {
    audited_transaction(&app.db, caller, |mut transaction| {
        Box::pin(async move {
            let decision = Decision {
                id,
                batch_no,
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
            let detail = "expected a schedule that is not cancelled; recipients of this one can be resolved as sent only";
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
            return Ok((self.leave_to_owner(db, &batch).await?, None));
        }
        let rows = lock_uncertain(db, self.id, (batch.first_seq, batch.last_seq)).await?;
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

    /// What its owner finds out, or records, must not be decided at the same time. Nothing is locked here.
    async fn leave_to_owner(
        &self,
        db: &mut MySqlConnection,
        batch: &LockedBatch,
    ) -> Result<Tally, ApiError> {
        let (uncertain, _) = uncertain_in(db, self.id, (batch.first_seq, batch.last_seq)).await?;
        let busy = self.seqs.map_or(uncertain, |seqs| seqs.len() as u64);
        Ok(Tally {
            left: Left {
                busy,
                ..Left::default()
            },
            ..Tally::default()
        })
    }

    /// Those to be resolved, and how many are left, and why.
    fn choose(&self, app: &App, rows: &[Uncertain]) -> (Vec<u32>, Tally) {
        let named: Option<HashSet<u32>> = self.seqs.map(|seqs| seqs.iter().copied().collect());
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| named.as_ref().is_none_or(|named| named.contains(&row.seq)))
            .collect();
        // What may still be on the wire could arrive after it was sent again.
        let quiet = |row: &Uncertain| {
            self.outcome == Outcome::Sent || row.sent_at <= self.now - app.quiet_time
        };
        let seqs: Vec<_> = rows
            .iter()
            .filter(|row| quiet(row))
            .map(|row| row.seq)
            .collect();
        let not_uncertain = named.map_or(0, |named| named.len() - rows.len()) as u64;
        let left = Left {
            too_recent: (rows.len() - seqs.len()) as u64,
            not_uncertain,
            ..Left::default()
        };
        (
            seqs,
            Tally {
                left,
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
        recount_batch(db, self.id, (self.batch_no, batch), self.now).await?;
        if self.outcome == Outcome::Resend && !batch.held {
            // Resuming adds the length of the pause, so what was decided during it counts as planned for its beginning.
            let planned_at = schedule.paused_at.unwrap_or(self.now);
            send_soon(db, self.id, self.batch_no, (planned_at, self.now)).await?;
        }
        reopen_schedule(db, self.id).await?;
        Ok(changed)
    }
}
