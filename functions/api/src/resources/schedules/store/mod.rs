//! `schedules`: create with recipients in one transaction, and lock for a move ([`super::moves`]).

pub mod addressees;
pub mod batches;
pub mod callbacks;
pub mod lists;
pub mod moves;
pub mod names;
pub mod places;
pub mod progress;
pub mod summaries;

use chrono::{DateTime, Utc};
use shared::{
    money::costs::add_planned,
    schedule::{
        canary::CanaryRule, on_uncertain::OnUncertain, priority::Priority, row::Schedule,
        start::Start, status::ScheduleStatus, unique_by::UniqueBy,
    },
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    lists::load::Added,
    resources::schedules::{
        canary::write_canary,
        end::SendEnd,
        names::{Labels, Names},
        store::names::write_names,
    },
};

/// A schedule to insert.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct NewSchedule {
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub message: String,
    pub parts: u16,
    pub sender: Option<String>,
    pub run_at: DateTime<Utc>,
    pub run_at_offset: String,
    pub rate: Option<u32>,
    pub priority: Priority,
    pub auto_priority: bool,
    pub send_window: Option<String>,
    pub max_lateness_s: u32,
    pub end: SendEnd,
    pub max_resends: u32,
    pub resend_within_s: u32,
    pub on_uncertain: OnUncertain,
    pub list_defaults: Option<String>,
    pub unique_by: UniqueBy,
    pub canary: Option<CanaryRule>,
    pub names: Names,
    pub created_at: DateTime<Utc>,
    pub created_by: Option<String>,
}

impl NewSchedule {
    /// Returns when it begins.
    pub fn start(&self) -> Start<'_> {
        Start {
            run_at: self.run_at,
            send_window: self.send_window.as_deref(),
            send_until: self.end.until,
            send_within_s: self.end.within_s,
        }
    }
}

/// The columns that a move or an append needs, read under a lock that it holds until the
/// transaction ends.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct LockedSchedule {
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub version: u32,
    pub message: String,
    pub run_at: DateTime<Utc>,
    pub recipient_count: u32,
    pub next_seq: u32,
    pub batch_count: Option<u32>,
    pub paused_at: Option<DateTime<Utc>>,
    pub list_defaults: Option<String>,
    pub unique_by: UniqueBy,
    pub send_window: Option<String>,
    pub send_until: Option<DateTime<Utc>>,
    pub send_within_s: Option<u32>,
}

impl LockedSchedule {
    /// Returns when it begins.
    pub fn start(&self) -> Start<'_> {
        Start {
            run_at: self.run_at,
            send_window: self.send_window.as_deref(),
            send_until: self.send_until,
            send_within_s: self.send_within_s,
        }
    }
}

/// Inserts a schedule without recipients; [`count_added`] follows in the same transaction.
pub async fn insert_schedule(
    connection: &mut MySqlConnection,
    new: &NewSchedule,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO schedules (id, status, message, parts, sender, run_at, run_at_offset, opens_at, rate, priority, auto_priority, send_window,
           max_lateness_s, send_until, send_within_s, max_resends, resend_within_s, on_uncertain, list_defaults, unique_by, created_at, created_by)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        new.id,
        new.status.as_str(),
        new.message,
        new.parts,
        new.sender,
        new.run_at,
        new.run_at_offset,
        new.start().opens_at(),
        new.rate,
        new.priority.as_str(),
        new.auto_priority,
        new.send_window,
        new.max_lateness_s,
        new.end.until,
        new.end.within_s,
        new.max_resends,
        new.resend_within_s,
        new.on_uncertain.as_str(),
        new.list_defaults,
        new.unique_by.as_str(),
        new.created_at,
        new.created_by,
    )
    .execute(&mut *connection)
    .await?;
    if new.canary.is_some() {
        write_canary(connection, new.id, new.canary.as_ref()).await?;
    }
    let Names {
        name,
        reference,
        labels,
    } = &new.names;
    if new.names == Names::default() {
        return Ok(());
    }
    let labels = labels.as_ref().map(Labels::to_column);
    write_names(
        connection,
        new.id,
        name.as_deref(),
        reference.as_deref(),
        labels.as_deref(),
    )
    .await
}

/// Reads a schedule, and locks it against other moves, cuts and appends until the transaction ends.
pub async fn lock_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<LockedSchedule>> {
    sqlx::query_as!(
        LockedSchedule,
        r#"SELECT id AS "id: Uuid", status AS "status: ScheduleStatus", version, message, run_at AS "run_at: DateTime<Utc>",
             recipient_count, next_seq, batch_count, paused_at AS "paused_at: DateTime<Utc>", list_defaults, unique_by AS "unique_by: UniqueBy",
             send_window, send_until AS "send_until: DateTime<Utc>", send_within_s
           FROM schedules WHERE id = ? FOR UPDATE"#,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Changes the priority and the end of a schedule in any state, under the lock of
/// [`lock_schedule`]. Workers and dispatch read both when they need them.
pub async fn change_priority_and_end(
    connection: &mut MySqlConnection,
    row: &Schedule,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET priority = ?, auto_priority = ?, send_until = ?, send_within_s = ? WHERE id = ?",
        row.priority.as_str(),
        row.auto_priority,
        row.send_until,
        row.send_within_s,
        row.id
    );
    done.execute(connection).await.map(drop)
}

/// Records what a call added, under the lock of [`lock_schedule`] or in the transaction that
/// inserted the schedule. A schedule for which nobody has chosen a priority becomes bulk above
/// `bulk_above` recipients (`None`: never).
pub async fn count_added(
    connection: &mut MySqlConnection,
    id: Uuid,
    added: &Added,
    bulk_above: Option<u32>,
) -> sqlx::Result<()> {
    // One table: assignments are made from left to right, so `priority` reads the new count.
    let done = sqlx::query!(
        "UPDATE schedules SET next_seq = ?, recipient_count = recipient_count + ?, invalid_count = invalid_count + ?,
           duplicate_count = duplicate_count + ?, parts = GREATEST(parts, ?),
           priority = IF(auto_priority AND recipient_count > ?, 'bulk', priority) WHERE id = ?",
        added.next_seq,
        added.recipients,
        added.invalid,
        added.duplicates,
        added.parts,
        bulk_above.unwrap_or(u32::MAX),
        id
    );
    done.execute(&mut *connection).await?;
    add_planned(connection, id, &added.cost).await
}
