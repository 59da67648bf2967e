//! Cancels and changes recipients, in one transaction for each batch.
//!
//! After the cut the rows of a batch belong to its owner while its lease is valid. A cancellation
//! leaves it the batch: the row is final, so that no mark matches it, and the release of the owner
//! counts it. A change ends the claim: the owner may have read the old number or text, and marks
//! nothing without its token. In both cases the row is locked, so that a mark comes before or after.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    batch::{SeqRange, release::record_final_events},
    message::status::Status,
    platform::queue::{BatchMessage, DeliveryMessage, Outgoing},
    schedule::{row::load_schedule, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    address::Address,
    edit::RecipientEdit,
    store::{
        LockedRecipient, cancel_recipients, change_phone, change_variables, count_cancelled,
        is_claimed, lock_recipients, places_of, take_batch,
    },
};
use crate::{
    App, ENQUEUE_TIMEOUT,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{error::ApiError, problems},
    resources::{
        schedules::{
            arrange_dispatch::enqueue_deliveries,
            state::conflict,
            store::{LockedSchedule, lock_schedule},
        },
        uncertain::store::{BatchRange, LockedBatch, batch_ranges, lock_batch},
    },
};

/// What a call does to one recipient.
#[derive(Clone, Debug)]
pub struct Order {
    /// The recipient.
    pub address: Address,
    /// Its new values; `None`: it is cancelled.
    pub edit: Option<RecipientEdit>,
}

/// What became of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeOutcome {
    /// It is cancelled, by this call or an earlier one.
    Cancelled,
    /// It is changed.
    Changed,
    /// A request carries its message, or has carried it, or the message has ended.
    TooLate,
    /// Another recipient of the schedule has the new number.
    Duplicate,
    /// It is not in the schedule.
    NotFound,
}

/// What became of one recipient of a call.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct RecipientChange {
    /// Its place in the list; null if it is not in the schedule.
    pub seq: Option<u32>,
    /// Whether the call was in time: the recipient is not sent to, or is sent to as changed.
    pub in_time: bool,
    /// The state of its message after the call.
    pub status: Option<Status>,
    /// What became of it.
    pub outcome: ChangeOutcome,
}

impl RecipientChange {
    const NOT_FOUND: Self = Self {
        seq: None,
        in_time: false,
        status: None,
        outcome: ChangeOutcome::NotFound,
    };

    const fn of(row: &LockedRecipient, in_time: bool, outcome: ChangeOutcome) -> Self {
        Self {
            seq: Some(row.seq),
            in_time,
            status: Some(row.status),
            outcome,
        }
    }
}

/// The transaction of one batch, or of all recipients before the cut.
struct Group<'a> {
    app: &'a App,
    id: Uuid,
    /// The batch; `None` before the cut, and for what is in no batch.
    batch_no: Option<u32>,
    is_cut: bool,
    /// Each recipient's place in the list, and its place among the orders.
    orders: &'a [(u32, usize)],
    all: &'a [Order],
}

/// What a transaction has written.
#[derive(Default)]
struct Written {
    /// By the place among the orders. `None`: the schedule was cut meanwhile, and nothing is written.
    changes: Option<Vec<(usize, RecipientChange)>>,
    /// The batch is due for a recheck.
    due: Option<BatchMessage>,
    deliveries: Vec<DeliveryMessage>,
}

/// Carries out the orders. Returns what became of each recipient, in the order of the orders.
pub async fn carry_out(
    app: &App,
    caller: &Caller,
    id: Uuid,
    orders: &[Order],
) -> Result<Vec<RecipientChange>, ApiError> {
    let mut results = vec![RecipientChange::NOT_FOUND; orders.len()];
    let mut left: Vec<(u32, usize)> = find(app, id, orders).await?;
    // The cut happens once, so the second round finds the batches.
    while !left.is_empty() {
        let (is_cut, groups) = group(app, id, &left).await?;
        left.clear();
        for (batch_no, members) in groups {
            let group = Group {
                app,
                id,
                batch_no,
                is_cut,
                orders: &members,
                all: orders,
            };
            let Written {
                changes,
                due,
                deliveries,
            } = group.run(caller).await?;
            enqueue_deliveries(app, &deliveries).await;
            enqueue_recheck(app, due).await;
            match changes {
                Some(changes) => changes
                    .into_iter()
                    .for_each(|(at, change)| results[at] = change),
                None => left.extend(members),
            }
        }
    }
    Ok(results)
}

/// Returns the place in the list of each recipient that is named by a place, or whose number the
/// schedule has.
async fn find(app: &App, id: Uuid, orders: &[Order]) -> Result<Vec<(u32, usize)>, ApiError> {
    let phones: Vec<_> = orders
        .iter()
        .filter_map(|order| match order.address {
            Address::Phone(phone) => Some(phone.to_string()),
            Address::Seq(_) => None,
        })
        .collect();
    let mut connection = app.db.acquire().await?;
    let places: HashMap<_, _> = places_of(&mut connection, id, &phones)
        .await?
        .into_iter()
        .collect();
    let seq = |order: &Order| match order.address {
        Address::Seq(seq) => Some(seq),
        Address::Phone(phone) => places.get(&phone.to_string()).copied(),
    };
    let found = orders.iter().enumerate();
    Ok(found
        .filter_map(|(at, order)| Some((seq(order)?, at)))
        .collect())
}

type Groups = BTreeMap<Option<u32>, Vec<(u32, usize)>>;

/// Groups recipients by their batch. Also returns whether the schedule is cut.
async fn group(app: &App, id: Uuid, left: &[(u32, usize)]) -> Result<(bool, Groups), ApiError> {
    let mut connection = app.db.acquire().await?;
    let schedule = load_schedule(&mut connection, id).await?;
    let is_cut = schedule
        .ok_or_else(ApiError::no_such_schedule)?
        .batch_count
        .is_some();
    let ranges = if is_cut {
        batch_ranges(&mut connection, id).await?
    } else {
        Vec::new()
    };
    let mut groups = Groups::new();
    for (seq, at) in left {
        let batch_no = batch_of(&ranges, *seq);
        groups.entry(batch_no).or_default().push((*seq, *at));
    }
    Ok((is_cut, groups))
}

fn batch_of(ranges: &[BatchRange], seq: u32) -> Option<u32> {
    let at = ranges.partition_point(|batch| batch.last_seq < seq);
    let batch = ranges.get(at).filter(|batch| batch.first_seq <= seq);
    batch.map(|batch| batch.batch_no)
}

/// Puts a batch on the recheck queue. A message that the queue refuses is left to the sweep.
async fn enqueue_recheck(app: &App, due: Option<BatchMessage>) {
    let Some(batch) = due else {
        return;
    };
    let now = app.db.now();
    let messages = [Outgoing::batch(batch, now, now)];
    match tokio::time::timeout(ENQUEUE_TIMEOUT, app.recheck_queue.send(&messages)).await {
        Ok(failed) if failed.is_empty() => {}
        _ => tracing::warn!("the recheck queue refused a message; the sweep will find the batch"),
    }
}

impl Group<'_> {
    async fn run(&self, caller: &Caller) -> Result<Written, ApiError> {
        audited_transaction(&self.app.db, caller, |mut transaction| {
            Box::pin(async move { self.write(&mut transaction).await })
        })
        .await
    }

    async fn write(
        &self,
        db: &mut MySqlConnection,
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
        let (mut changes, mut cancelled, mut edited) = (Vec::new(), Vec::new(), Vec::new());
        for (seq, at) in self.orders {
            let Some(row) = rows.get_mut(seq) else {
                changes.push((*at, RecipientChange::NOT_FOUND));
                continue;
            };
            let change = match &self.all[*at].edit {
                None => cancel(row, &mut cancelled),
                Some(edit) => {
                    let change = self.edit(db, &schedule, row, edit).await?;
                    if change.in_time {
                        edited.push(json!({"seq": seq, "fields": edit.fields()}));
                    }
                    change
                }
            };
            changes.push((*at, change));
        }
        let mut written = Written {
            changes: Some(changes),
            ..Written::default()
        };
        if !cancelled.is_empty() {
            cancel_recipients(db, self.id, &cancelled, now).await?;
        }
        if let Some(batch) = batch {
            let is_edited = !edited.is_empty();
            written.due = self
                .settle_batch(db, &batch, !cancelled.is_empty(), is_edited, now)
                .await?;
        } else if !cancelled.is_empty() {
            written.deliveries = self.settle_uncut(db, &cancelled, now).await?;
        }
        Ok((written, audit(self.id, &cancelled, &edited)))
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
        if let Some(phone) = valid.phone {
            let place = places_of(db, self.id, &[phone.to_string()]).await?.pop();
            if place.is_some_and(|(_, place)| place != row.seq) {
                return Ok(RecipientChange::of(row, false, ChangeOutcome::Duplicate));
            }
            change_phone(db, self.id, row.seq, phone).await?;
        }
        if let Some(vars) = &valid.vars {
            change_variables(db, self.id, row.seq, vars, valid.parts).await?;
        }
        Ok(RecipientChange::of(row, true, ChangeOutcome::Changed))
    }
}

/// Returns what the audit log keeps: places and names of fields, no values.
fn audit(id: Uuid, cancelled: &[u32], edited: &[Value]) -> Option<Change<'static>> {
    let (action, before, after) = if !edited.is_empty() {
        let after = json!({"recipients": edited});
        ("recipient.change", json!(null), after)
    } else if !cancelled.is_empty() {
        let after = json!({"status": "CANCELLED", "seqs": cancelled});
        ("recipient.cancel", json!({"status": "PENDING"}), after)
    } else {
        return None;
    };
    Some(Change::of_schedule(action, id, before, after))
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
