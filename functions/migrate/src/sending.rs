//! Stopping and resuming all sending, and what may be sent after the database was restored to an
//! earlier time. An operator invokes these, also when the API is down. Each is one entry of the audit
//! log.

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    access::audit::{AuditEntry, insert_entry, new_id},
    batch::brake::{self, BrakeChange, LONGEST_REASON},
};
use sqlx::{Connection, MySql, MySqlConnection, Transaction, types::Uuid};

/// The actor in the audit log.
const OPERATOR: &str = "operator";
/// The width of `audit_log.actor_name`.
const LONGEST_NAME: usize = 128;
/// Batches that are held in one transaction.
const ROUND: u32 = 100;

/// Who stops or resumes sending, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrakeRequest {
    /// For the audit log, and shown while sending is stopped.
    pub reason: String,
    /// The person, such as an ARN.
    pub by: Option<String>,
}

/// A restore of the database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoredRequest {
    /// The time to which the database was restored.
    pub since: DateTime<Utc>,
    /// The person, such as an ARN.
    pub by: Option<String>,
}

/// The state of sending.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Sending {
    /// Whether it is stopped.
    pub stopped: bool,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Why it was stopped or resumed last.
    pub reason: String,
    /// Batches that the next sweep enqueues, after a resume.
    pub resumed_batches: u64,
}

/// What was held after a restore.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Schedules that had begun and are not cut: they are `missed`, and an operator decides.
    pub missed_schedules: u64,
    /// Schedules of which nothing is sent again by itself.
    pub without_resends: u64,
    /// Recipients that are UNCERTAIN now.
    pub uncertain: u64,
}

/// Stops all sending. A second call changes the reason, not the time.
pub async fn stop(
    connection: &mut MySqlConnection,
    request: &BrakeRequest,
    now: DateTime<Utc>,
) -> anyhow::Result<Sending> {
    let reason = request.reason()?;
    let mut transaction = connection.begin().await.context("starting a transaction")?;
    let change = brake::set(&mut transaction, OPERATOR.to_owned(), reason, now).await?;
    finish(transaction, request.change("sending.stop", now), change).await
}

/// Resumes sending. The batches that were due meanwhile are enqueued by the next sweep.
pub async fn resume(
    connection: &mut MySqlConnection,
    request: &BrakeRequest,
    now: DateTime<Utc>,
) -> anyhow::Result<Sending> {
    let reason = request.reason()?;
    let mut transaction = connection.begin().await.context("starting a transaction")?;
    let change = brake::release(&mut transaction, OPERATOR.to_owned(), reason).await?;
    finish(transaction, request.change("sending.resume", now), change).await
}

/// Holds everything that may have been sent since the time of the restore, although the restored rows
/// do not show it: what is PENDING of schedules that have begun becomes UNCERTAIN. A carrier that
/// takes our ids is then asked about it; otherwise an operator decides. Nothing of these schedules is
/// sent again by itself. Sending must be stopped.
///
/// A second run finds nothing more to hold, so that a run that failed half-way can be repeated.
pub async fn hold_after_restore(
    connection: &mut MySqlConnection,
    request: &RestoredRequest,
    now: DateTime<Utc>,
) -> anyhow::Result<Held> {
    ensure!(
        request.since <= now,
        "`since` is {}; expected a time in the past",
        request.since
    );
    let brake = brake::read(connection).await?;
    ensure!(
        brake.set_at.is_some(),
        "sending is not stopped; expected stop_sending before"
    );
    let mut held = Held {
        missed_schedules: hold_uncut_schedules(connection, now).await?,
        without_resends: forbid_resends(connection, now).await?,
        uncertain: 0,
    };
    while let Some(recipients) = hold_round(connection, now).await? {
        held.uncertain += recipients;
    }
    let after = json!({"since": request.since, "held": held});
    let change = SendingChange {
        action: "sending.restored",
        by: request.by.as_deref(),
        now,
    };
    let entry = change.entry(None, after.to_string());
    insert_entry(connection, &entry).await?;
    tracing::warn!(since = %request.since, missed = held.missed_schedules, uncertain = held.uncertain, "held after a restore");
    Ok(held)
}

impl BrakeRequest {
    fn reason(&self) -> anyhow::Result<&str> {
        let reason = self.reason.trim();
        ensure!(
            (1..=LONGEST_REASON).contains(&reason.chars().count()),
            "`reason`: expected 1 to {LONGEST_REASON} characters"
        );
        Ok(reason)
    }

    fn change(&self, action: &'static str, now: DateTime<Utc>) -> SendingChange<'_> {
        SendingChange {
            action,
            by: self.by.as_deref(),
            now,
        }
    }
}

/// Writes the audit entry, and commits.
async fn finish(
    mut transaction: Transaction<'_, MySql>,
    change: SendingChange<'_>,
    BrakeChange {
        before,
        after,
        due_batches,
    }: BrakeChange,
) -> anyhow::Result<Sending> {
    let state = |brake| serde_json::to_string(brake);
    let entry = change.entry(Some(state(&before)?), state(&after)?);
    insert_entry(&mut transaction, &entry).await?;
    transaction.commit().await.context("committing")?;
    tracing::warn!(
        action = change.action,
        reason = after.reason,
        "sending was stopped or resumed"
    );
    Ok(Sending {
        stopped: after.set_at.is_some(),
        since: after.set_at,
        reason: after.reason,
        resumed_batches: due_batches,
    })
}

/// A change for the audit log.
#[derive(Clone, Copy)]
struct SendingChange<'a> {
    action: &'static str,
    by: Option<&'a str>,
    now: DateTime<Utc>,
}

impl SendingChange<'_> {
    fn entry(self, state_before: Option<String>, state_after: String) -> AuditEntry {
        let name = self.by.unwrap_or("migrate");
        AuditEntry {
            id: new_id(self.now),
            actor: OPERATOR.to_owned(),
            actor_name: name.chars().take(LONGEST_NAME).collect(),
            address: "none".to_owned(),
            request_id: "none".to_owned(),
            action: self.action.to_owned(),
            resource: "sending".to_owned(),
            state_before,
            state_after: Some(state_after),
        }
    }
}

/// Marks as missed what had begun before now and is not cut in the restored rows.
async fn hold_uncut_schedules(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let sql = "UPDATE schedules SET status = 'missed', version = version + 1
        WHERE status = 'scheduled' AND batch_count IS NULL AND run_at <= ? AND (opens_at IS NULL OR opens_at <= ?)";
    let done = sqlx::query(sql)
        .bind(now)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// A message that failed may have been sent again already.
async fn forbid_resends(connection: &mut MySqlConnection, now: DateTime<Utc>) -> sqlx::Result<u64> {
    let sql = "UPDATE schedules SET max_resends = 0
        WHERE status IN ('running', 'paused') AND run_at <= ? AND max_resends > 0";
    let done = sqlx::query(sql).bind(now).execute(connection).await?;
    Ok(done.rows_affected())
}

/// Holds the PENDING recipients of some batches. Returns how many, or `None` if there are no more.
async fn hold_round(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> anyhow::Result<Option<u64>> {
    let mut transaction = connection.begin().await.context("starting a transaction")?;
    let sql = "SELECT b.schedule_id, b.batch_no, b.first_seq, b.last_seq FROM batches b
        STRAIGHT_JOIN schedules s ON s.id = b.schedule_id
        WHERE b.send_at > '1970-01-01' AND s.status IN ('running', 'paused') AND s.run_at <= ? LIMIT ? FOR UPDATE";
    let batches: Vec<(Uuid, u32, u32, u32)> = sqlx::query_as(sql)
        .bind(now)
        .bind(ROUND)
        .fetch_all(&mut *transaction)
        .await
        .context("looking for batches")?;
    if batches.is_empty() {
        return Ok(None);
    }
    let mut held = 0;
    for (schedule_id, batch_no, first, last) in batches {
        // The attempt counts, so that its id is the one under which the message may have been sent.
        let sql = "UPDATE recipients SET status = 'UNCERTAIN', attempt = attempt + 1, sent_at = ?, error = 'restored',
              id_start = NULL, id_rest = NULL, carrier_status = NULL
            WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND status = 'PENDING'";
        let recipients = sqlx::query(sql)
            .bind(now)
            .bind(schedule_id)
            .bind(first)
            .bind(last)
            .execute(&mut *transaction)
            .await
            .context("holding recipients")?
            .rows_affected();
        let sql = "UPDATE batches SET uncertain = uncertain + pending, pending = 0, waiting = 0, send_at = NULL,
              check_at = ?, sweep_at = ? WHERE schedule_id = ? AND batch_no = ?";
        sqlx::query(sql)
            .bind(now)
            .bind(now)
            .bind(schedule_id)
            .bind(batch_no)
            .execute(&mut *transaction)
            .await
            .context("holding a batch")?;
        held += recipients;
    }
    transaction.commit().await.context("committing")?;
    Ok(Some(held))
}
