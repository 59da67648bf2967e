//! Copies the recipients of a finished schedule into the one that sends again, a few thousand in
//! each transaction.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::{
    message::phone::Phone,
    money::costs::{PlannedCost, Planner},
    platform::queue::DeliveryMessage,
    schedule::{status::ScheduleStatus, unique_by::UniqueBy},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::store::{
    OldRecipient, Resend, copy_names, copy_variables, lock_resend, recipients_to_copy,
    remove_empty_draft, set_next_seq, start_resend,
};
use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
    },
    http::{error::ApiError, problems},
    lists::{
        copies::free_places,
        load::Added,
        store::{insert_copies, insert_recipients},
    },
    resources::schedules::{
        approval::{self, Step},
        state::conflict,
        store::{
            LockedSchedule, count_added, lock_schedule,
            moves::cancel_schedule,
            places::{last_seq, skip_gap},
        },
    },
};

/// The number of places of the list that a transaction examines.
const EXAMINED: u32 = 100_000;

/// What was copied so far.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// Whether nothing is left to copy.
    pub is_complete: bool,
    /// Whether the schedule was scheduled by this call.
    pub is_started: bool,
    /// Whether no recipient was found in the whole list; the schedule is removed again.
    pub is_empty: bool,
    /// The last place of the old list that was examined.
    pub examined: u32,
    /// The deliveries of the event that the schedule waits for an approval.
    pub deliveries: Vec<DeliveryMessage>,
}

/// Copies the next recipients, and starts the schedule behind the last of them.
pub async fn copy_chunk(app: &App, caller: &Caller, id: Uuid) -> Result<Copied, ApiError> {
    let rows = AtomicU32::new(0);
    let count = &rows;
    let copied = audited_transaction(&app.db, caller, |transaction| {
        Box::pin(write(app, caller, transaction, id, count))
    })
    .await;
    app.count_entries(caller, &rows).await?;
    copied
}

async fn write(
    app: &App,
    caller: &Caller,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    count: &AtomicU32,
) -> Result<(Copied, Option<Change<'static>>), ApiError> {
    let Some(schedule) = lock_schedule(&mut transaction, id).await? else {
        // Another call at the same time has found nobody.
        let copied = Copied {
            is_empty: true,
            ..Copied::default()
        };
        return Ok((copied, None));
    };
    let resend = lock_resend(&mut transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let end = last_seq(&mut transaction, resend.resend_of).await? + 1;
    let Some(first) = resend.next_seq else {
        let copied = Copied {
            is_complete: true,
            examined: end - 1,
            ..Copied::default()
        };
        return Ok((copied, None));
    };
    if schedule.status != ScheduleStatus::Draft {
        let detail = "it was cancelled before its list was complete".to_owned();
        return Err(conflict(&problems::WRONG_STATE, &schedule, detail));
    }
    let last = end.min(first.saturating_add(EXAMINED)) - 1;
    let chunk = app.resend_chunk;
    let found = recipients_to_copy(
        &mut transaction,
        &resend,
        schedule.unique_by,
        first..=last,
        chunk,
    )
    .await?;
    let examined = match found.last() {
        Some(recipient) if found.len() as u32 == chunk => recipient.seq,
        _ => last,
    };
    let mut added = insert(app, &mut transaction, &schedule, &resend, &found).await?;
    added.cost = planned_cost(app, &mut transaction, &found).await?;
    count.store(added.recipients, Ordering::Relaxed);
    let now = app.db.now();
    caller
        .use_messages(&mut transaction, now, added.recipients)
        .await?;
    count_added(&mut transaction, id, &added, app.capacity.bulk_above()).await?;
    let is_complete = examined + 1 >= end;
    let next_seq = if is_complete {
        None
    } else {
        Some(skip_gap(&mut transaction, resend.resend_of, examined).await? + 1)
    };
    set_next_seq(&mut transaction, id, next_seq).await?;
    let total = schedule.recipient_count + added.recipients;
    let copied = Copied {
        is_complete,
        is_started: is_complete && !resend.is_draft && total > 0,
        is_empty: is_complete && total == 0,
        examined,
        deliveries: Vec::new(),
    };
    finish(&mut transaction, &schedule, &copied, app.db.now()).await?;
    let step = if copied.is_started {
        Step::Begin
    } else {
        Step::List
    };
    let mut copied = copied;
    if !copied.is_empty {
        copied.deliveries = approval::follow(app, &mut transaction, caller, id, step).await?;
    }
    let before = json!({"recipients": schedule.recipient_count});
    let after = json!({"recipients": total, "complete": is_complete});
    let change = Change::of_schedule("schedule.append", id, before, after);
    Ok((copied, Some(change)))
}

/// Starts a complete schedule, or removes one that nobody is left for.
async fn finish(
    transaction: &mut MySqlConnection,
    schedule: &LockedSchedule,
    copied: &Copied,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    if copied.is_empty && !remove_empty_draft(transaction, schedule.id).await? {
        let reason = Some("nobody was left to send to again");
        return cancel_schedule(transaction, schedule.id, reason, now).await;
    }
    if copied.is_started {
        // A time that has passed while the list was copied becomes now.
        start_resend(
            transaction,
            schedule.id,
            schedule.start().now_if_passed(now),
        )
        .await?;
    }
    Ok(())
}

/// Inserts recipients behind those that the schedule has. Numbers of countries and types that are
/// not allowed any more are left out.
async fn insert(
    app: &App,
    transaction: &mut MySqlConnection,
    schedule: &LockedSchedule,
    resend: &Resend,
    found: &[OldRecipient],
) -> Result<Added, ApiError> {
    let countries = app.allowed_countries();
    let phones = found.iter().filter_map(|recipient| {
        let phone = Phone::parse(&recipient.phone).ok()?;
        let is_allowed = countries.contains(phone) && app.number_types.refuse(phone).is_none();
        is_allowed.then_some((recipient.seq, phone))
    });
    let places: Vec<(u32, u32, Phone)> = (schedule.next_seq..)
        .zip(phones)
        .map(|(new, (old, phone))| (old, new, phone))
        .collect();
    if schedule.unique_by == UniqueBy::Reference {
        return insert_by_reference(transaction, schedule, resend, &places).await;
    }
    let mut numbers: Vec<_> = places
        .iter()
        .map(|(_, new, phone)| (*new, *phone))
        .collect();
    numbers.sort_unstable_by_key(|(_, phone)| *phone);
    let recipients = insert_recipients(&mut *transaction, schedule.id, &numbers).await?;
    let moved: Vec<_> = places.iter().map(|(old, new, _)| [*old, *new]).collect();
    copy_variables(transaction, resend, &moved).await?;
    copy_names(transaction, resend, &moved).await?;
    Ok(Added {
        next_seq: schedule.next_seq + places.len() as u32,
        recipients,
        duplicates: places.len() as u32 - recipients,
        ..Added::default()
    })
}

/// Returns what these recipients will cost, as if all texts had the most parts of any of them.
async fn planned_cost(
    app: &App,
    transaction: &mut MySqlConnection,
    found: &[OldRecipient],
) -> sqlx::Result<PlannedCost> {
    let planner = Planner::read(transaction).await?;
    let mut cost = planner.start();
    let countries = app.allowed_countries();
    let phones = found
        .iter()
        .filter_map(|recipient| Phone::parse(&recipient.phone).ok());
    for phone in phones.filter(|phone| countries.contains(*phone)) {
        planner.add(&mut cost, phone, 0);
    }
    Ok(cost)
}

/// Inserts recipients of whom several may have one number.
async fn insert_by_reference(
    transaction: &mut MySqlConnection,
    schedule: &LockedSchedule,
    resend: &Resend,
    given: &[(u32, u32, Phone)],
) -> Result<Added, ApiError> {
    let wanted: Vec<_> = given.iter().map(|(_, new, phone)| (*new, *phone)).collect();
    let places = free_places(&mut *transaction, schedule.id, &wanted).await?;
    let pairs = || places.iter().zip(given);
    let rows: Vec<_> = pairs()
        .map(|(place, (_, _, phone))| (place.seq(), *phone))
        .collect();
    insert_copies(&mut *transaction, schedule.id, &rows).await?;
    let moved: Vec<_> = pairs()
        .map(|(place, (old, _, _))| [*old, place.seq()])
        .collect();
    copy_variables(transaction, resend, &moved).await?;
    copy_names(transaction, resend, &moved).await?;
    let recipients = given.len() as u32;
    Ok(Added {
        next_seq: schedule.next_seq + recipients,
        recipients,
        ..Added::default()
    })
}
