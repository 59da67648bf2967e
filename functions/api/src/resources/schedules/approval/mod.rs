//! Four eyes: a schedule to which the [rule] applies is sent only after a second person has approved
//! exactly its text, its times and its list.
//!
//! A schedule that needs an approval has a row in `schedule_approvals`, which nothing deletes. It is
//! `awaiting-approval` instead of `scheduled`, so that no statement that cuts or sends finds it. An
//! approval is the [hash](content) of what was approved. [`follow`] compares it with the content after
//! each change and before each begin, under the lock of the schedule's row: if they differ, the
//! schedule waits again.

pub mod content;
pub mod decide;
pub mod rule;
pub mod show;
pub mod store;

use shared::{
    access::Role,
    events::EventType,
    platform::queue::DeliveryMessage,
    schedule::{event::record_event, row::load_schedule, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use self::{
    rule::{ApprovalRule, Facts},
    store::Approval,
};
use crate::{
    App,
    auth::{Caller, caller::Identity},
    http::error::ApiError,
    resources::schedules::{state::begun, store::LockedSchedule},
};

/// What a call has done to a schedule that has not been cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has added or changed recipients.
    List,
    /// It has cancelled recipients: nobody gets a message that was not approved.
    Removal,
    /// It has changed the text, the sender or the times.
    Terms,
    /// It has created the schedule, or makes it wait for its time.
    Begin,
}

/// Holds a schedule that waits for its time, if what it sends needs an approval and is not approved.
/// Runs at the end of the transaction of each call that changes such a schedule, under the lock of its
/// row. Returns the deliveries of the event.
pub async fn follow(
    app: &App,
    connection: &mut MySqlConnection,
    caller: &Caller,
    id: Uuid,
    step: Step,
) -> Result<Vec<DeliveryMessage>, ApiError> {
    let now = app.db.now();
    let Some(schedule) = store::read_guarded(connection, id).await? else {
        return Ok(Vec::new());
    };
    let approval = if let Some(approval) = schedule.approval {
        approval
    } else {
        let rule = app.approval_rule();
        let list = List {
            id,
            recipients: schedule.recipient_count,
        };
        let Some(reason) = reason_for(&rule, connection, caller, list).await? else {
            return Ok(Vec::new());
        };
        let actor = caller.actor();
        store::insert_approval(connection, id, reason, &actor, now).await?;
        Approval::new(actor, now)
    };
    let is_approved = approval.approved_hash.is_some();
    // The hash of an approved list stays if only recipients of it are cancelled.
    let keeps_hash = step == Step::Removal && is_approved;
    if matches!(step, Step::List | Step::Removal) && !keeps_hash {
        store::reset_list_hash(connection, id).await?;
    }
    if schedule.status != ScheduleStatus::Scheduled {
        return Ok(Vec::new());
    }
    if is_approved && step != Step::List {
        let row = load_schedule(connection, id).await?;
        let row = row.ok_or_else(ApiError::no_such_schedule)?;
        if content::hash_of(connection, &row, &approval).await? == approval.approved_hash {
            return Ok(Vec::new());
        }
    }
    store::hold(connection, id, &caller.actor(), now).await?;
    Ok(record_event(connection, EventType::ScheduleAwaitingApproval, id, now).await?)
}

/// Refuses a change of what is sent of a schedule that has begun, if it needs an approval: nobody
/// could approve it any more.
pub async fn refuse_begun(
    app: &App,
    connection: &mut MySqlConnection,
    caller: &Caller,
    schedule: &LockedSchedule,
) -> Result<(), ApiError> {
    let needs_approval = store::is_needed(connection, schedule.id).await? || {
        let list = List {
            id: schedule.id,
            recipients: schedule.recipient_count,
        };
        let reason = reason_for(&app.approval_rule(), connection, caller, list).await?;
        reason.is_some()
    };
    if needs_approval {
        let expected =
            "what a schedule that needs an approval sends can be changed before it begins";
        return Err(begun(schedule, expected));
    }
    Ok(())
}

/// A schedule, and the length of its list.
#[derive(Clone, Copy)]
struct List {
    id: Uuid,
    recipients: u32,
}

/// Returns why a schedule of this length needs an approval after a call, if it does.
async fn reason_for(
    rule: &ApprovalRule,
    connection: &mut MySqlConnection,
    caller: &Caller,
    list: List,
) -> sqlx::Result<Option<rule::Reason>> {
    if rule.is_off() {
        return Ok(None);
    }
    let facts = Facts {
        recipients: list.recipients,
        cost_micros: if rule.asks_cost() {
            store::cost_of(connection, list.id).await?
        } else {
            0
        },
        role: role_of(connection, caller).await?,
        key: match caller.identity {
            Identity::Key { id, .. } => Some(id),
            _ => None,
        },
    };
    Ok(rule.reason(&facts))
}

/// Returns the role of the person who calls, also with a personal key.
async fn role_of(connection: &mut MySqlConnection, caller: &Caller) -> sqlx::Result<Option<Role>> {
    match caller.identity {
        Identity::Key { id, .. } => store::role_of_key(connection, id).await,
        _ => Ok(caller.role),
    }
}
