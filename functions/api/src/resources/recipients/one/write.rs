//! Cancels and changes recipients, in one transaction for each batch.
//!
//! After the cut the rows of a batch belong to its owner while its lease is valid. A cancellation
//! leaves it the batch: the row is final, so that no mark matches it, and the release of the owner
//! counts it. A change ends the claim: the owner may have read the old number or text, and marks
//! nothing without its token. In both cases the row is locked, so that a mark comes before or after.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::{
    batch::{SeqRange, release::record_final_events},
    message::{place::Place, status::Status},
    platform::queue::{BatchMessage, DeliveryMessage},
    schedule::{status::ScheduleStatus, unique_by::UniqueBy},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    edit::{RecipientEdit, ValidEdit},
    outcome::{ChangeOutcome, Order, RecipientChange},
    store::{
        LockedRecipient, cancel_recipients, change_names, change_phone, change_variables,
        count_cancelled, is_claimed, lock_recipients, places_of_references, take_batch,
    },
};
use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{error::ApiError, problems},
    resources::{
        schedules::{
            approval::{self, Step},
            state::conflict,
            store::{LockedSchedule, lock_schedule},
        },
        uncertain::store::{LockedBatch, lock_batch, places_of},
    },
};

/// The transaction of one batch, or of all recipients before the cut.
pub struct Group<'a> {
    /// The state of the handlers.
    pub app: &'a App,
    /// The schedule.
    pub id: Uuid,
    /// The batch; `None` before the cut, and for what is in no batch.
    pub batch_no: Option<u32>,
    /// Whether the schedule was cut when the groups were formed.
    pub is_cut: bool,
    /// Each recipient's place in the list, and its place among the orders.
    pub orders: &'a [(u32, usize)],
    /// All orders of the call.
    pub all: &'a [Order],
}

/// What a transaction has written.
#[derive(Default)]
pub struct Written {
    /// By the place among the orders. `None`: the schedule was cut meanwhile, and nothing is written.
    pub changes: Option<Vec<(usize, RecipientChange)>>,
    /// The batch is due for a recheck.
    pub due: Option<BatchMessage>,
    /// The events to be posted.
    pub deliveries: Vec<DeliveryMessage>,
}

impl Group<'_> {
    /// Runs the transaction, with its audit row.
    pub async fn run(&self, caller: &Caller) -> Result<Written, ApiError> {
        audited_transaction(&self.app.db, caller, |mut transaction| {
            Box::pin(async move { self.write(&mut transaction, caller).await })
        })
        .await
    }

    async fn write(
        &self,
        db: &mut MySqlConnection,
        caller: &Caller,
    ) -> Result<(Written, Option<Change<'static>>), ApiError> {
        let now = self.app.db.now();
        let schedule = lock_schedule(db, self.id)
            .await?
            .ok_or_else(ApiError::no_such_schedule)?;
        if schedule.batch_count.is_some() != self.is_cut {
            return Ok((Written::default(), None));
        }
        let batch = match self.batch_no {
            Some(batch_no) => lock_batch(db, self.id, batch_no, now).await?,
            None => None,
        };
        let seqs: Vec<_> = self.orders.iter().map(|(seq, _)| *seq).collect();
        let mut rows: HashMap<u32, LockedRecipient> = lock_recipients(db, self.id, &seqs)
            .await?
            .into_iter()
            .map(|row| (row.seq, row))
            .collect();
        let edits = self
            .orders
            .iter()
            .any(|(_, at)| self.all[*at].edit.is_some());
        if self.is_cut && edits {
            approval::refuse_begun(self.app, db, caller, &schedule).await?;
        }
        let mut effect = Effect::default();
        for (seq, at) in self.orders {
            let change = match (rows.get_mut(seq), &self.all[*at].edit) {
                (None, _) => RecipientChange::NOT_FOUND,
                (Some(row), None) => cancel(row, &mut effect.cancelled),
                (Some(row), Some(edit)) => {
                    let change = self.edit(db, &schedule, row, edit).await?;
                    if change.in_time {
                        let fields = json!({"seq": seq, "fields": edit.fields()});
                        effect.edited.push(fields);
                        effect.alters_messages |= edit.alters_message();
                    }
                    change
                }
            };
            effect.changes.push((*at, change));
        }
        let change = effect.audit(self.id);
        let step = effect.step().filter(|_| !self.is_cut);
        let mut written = self.settle(db, batch.as_ref(), effect, now).await?;
        if let Some(step) = step {
            let followed = approval::follow(self.app, db, caller, self.id, step).await?;
            written.deliveries.extend(followed);
        }
        Ok((written, change))
    }

    /// Writes the cancellations, and settles the batch or the counts of the schedule.
    async fn settle(
        &self,
        db: &mut MySqlConnection,
        batch: Option<&LockedBatch>,
        effect: Effect,
        now: DateTime<Utc>,
    ) -> Result<Written, ApiError> {
        let Effect {
            changes,
            cancelled,
            alters_messages,
            ..
        } = effect;
        let mut written = Written {
            changes: Some(changes),
            ..Written::default()
        };
        let is_cancelled = !cancelled.is_empty();
        if is_cancelled {
            cancel_recipients(db, self.id, &cancelled, now).await?;
        }
        if let Some(batch) = batch {
            let due = self.settle_batch(db, batch, is_cancelled, alters_messages, now);
            written.due = due.await?;
        } else if is_cancelled {
            written.deliveries = self.settle_uncut(db, &cancelled, now).await?;
        }
        Ok(written)
    }

    /// Ends the claim of the batch, or counts it, where that is needed. Returns the batch if it is
    /// due for a recheck.
    async fn settle_batch(
        &self,
        db: &mut MySqlConnection,
        batch: &LockedBatch,
        is_cancelled: bool,
        is_edited: bool,
        now: DateTime<Utc>,
    ) -> Result<Option<BatchMessage>, ApiError> {
        let key = BatchMessage {
            schedule_id: self.id,
            batch_no: self.batch_no.unwrap_or_default(),
        };
        let takes = (is_cancelled && (!batch.owned || batch.held))
            || (is_edited && is_claimed(db, key).await?);
        if takes {
            take_batch(db, key, batch, now).await?;
        }
        Ok(takes.then_some(key))
    }

    /// Counts what was cancelled before the cut, and records its events: no release will.
    async fn settle_uncut(
        &self,
        db: &mut MySqlConnection,
        cancelled: &[u32],
        now: DateTime<Utc>,
    ) -> Result<Vec<DeliveryMessage>, ApiError> {
        count_cancelled(db, self.id, cancelled.len() as u64).await?;
        let first = cancelled.iter().min().copied().unwrap_or_default();
        let last = cancelled.iter().max().copied().unwrap_or_default();
        let range = SeqRange::new(first, last);
        Ok(record_final_events(db, self.id, range, 0, now).await?)
    }

    async fn edit(
        &self,
        db: &mut MySqlConnection,
        schedule: &LockedSchedule,
        row: &LockedRecipient,
        edit: &RecipientEdit,
    ) -> Result<RecipientChange, ApiError> {
        if schedule.status == ScheduleStatus::Cancelled {
            let detail = "expected a schedule that is not cancelled".to_owned();
            return Err(conflict(&problems::WRONG_STATE, schedule, detail));
        }
        if !row.is_in_time() {
            return Ok(RecipientChange::of(row, false, ChangeOutcome::TooLate));
        }
        let valid = edit.check_locked(self.app, schedule)?;
        if self.is_taken(db, schedule, row, &valid, edit).await? {
            return Ok(RecipientChange::of(row, false, ChangeOutcome::Duplicate));
        }
        if let Some(phone) = valid.phone {
            change_phone(db, self.id, row.seq, phone).await?;
        }
        if let Some(vars) = &valid.vars {
            change_variables(db, self.id, row.seq, vars, valid.parts).await?;
        }
        if !edit.names().is_empty() {
            change_names(db, self.id, row.seq, edit.names()).await?;
        }
        Ok(RecipientChange::of(row, true, ChangeOutcome::Changed))
    }

    /// Returns whether another recipient has the new number or reference, where only one can. With
    /// `unique_by: reference` it is about numbers in the same part of the list: two recipients with one
    /// number must never be in one batch.
    async fn is_taken(
        &self,
        db: &mut MySqlConnection,
        schedule: &LockedSchedule,
        row: &LockedRecipient,
        valid: &ValidEdit,
        edit: &RecipientEdit,
    ) -> sqlx::Result<bool> {
        let by_reference = schedule.unique_by == UniqueBy::Reference;
        if let Some(phone) = valid.phone {
            let copy = Place::of(row.seq).copy;
            let taken = places_of(db, self.id, &[phone.to_string()]).await?;
            let is_taken =
                |place: u32| place != row.seq && (!by_reference || Place::of(place).copy == copy);
            if taken.into_values().flatten().any(is_taken) {
                return Ok(true);
            }
        }
        let reference = edit.names().reference.as_ref().and_then(Option::as_deref);
        let Some(reference) = reference.filter(|_| by_reference) else {
            return Ok(false);
        };
        let places = places_of_references(db, self.id, &[(0, reference)]).await?;
        let mut places = places.iter().flat_map(|places| [places.first, places.last]);
        Ok(places.any(|place| place.is_some_and(|place| place != row.seq)))
    }
}

/// What the orders of a transaction come to.
#[derive(Default)]
struct Effect {
    /// By the place among the orders.
    changes: Vec<(usize, RecipientChange)>,
    /// The places in the list of those that are cancelled now.
    cancelled: Vec<u32>,
    /// Those that were changed, each with the names of its fields.
    edited: Vec<Value>,
    /// Whether one of them changes the number or the text of a message.
    alters_messages: bool,
}

impl Effect {
    /// Returns what the transaction does to a list that may need an approval.
    fn step(&self) -> Option<Step> {
        if !self.edited.is_empty() {
            return Some(Step::List);
        }
        (!self.cancelled.is_empty()).then_some(Step::Removal)
    }

    /// Returns what the audit log keeps: places and names of fields, no values.
    fn audit(&self, id: Uuid) -> Option<Change<'static>> {
        let (action, before, after) = if !self.edited.is_empty() {
            let after = json!({"recipients": self.edited});
            ("recipient.change", json!(null), after)
        } else if !self.cancelled.is_empty() {
            let after = json!({"status": "CANCELLED", "seqs": self.cancelled});
            ("recipient.cancel", json!({"status": "PENDING"}), after)
        } else {
            return None;
        };
        Some(Change::of_schedule(action, id, before, after))
    }
}

/// Decides about the cancellation of a locked recipient. It is already done if the recipient ended
/// CANCELLED before.
fn cancel(row: &mut LockedRecipient, cancelled: &mut Vec<u32>) -> RecipientChange {
    if row.is_in_time() {
        row.status = Status::Cancelled;
        cancelled.push(row.seq);
    }
    let in_time = row.status == Status::Cancelled;
    let outcome = if in_time {
        ChangeOutcome::Cancelled
    } else {
        ChangeOutcome::TooLate
    };
    RecipientChange::of(row, in_time, outcome)
}
