//! The end of a run: the carrier's ledger against the database, the counts against the rows, the history against the protocol.

use std::{collections::HashSet, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use demo::{gather::prove, ledger::Ledger, proof::Kind};
use sqlx::{MySqlPool, Row};
use uuid::Uuid;

use crate::{history, outcome::Outcome};

/// A schedule that is over, and where to look.
pub struct Evidence<'a> {
    /// The database, as an administrator.
    pub pool: &'a MySqlPool,
    /// The carrier's.
    pub ledger: &'a Ledger,
    /// How much the ledger held before the run.
    pub from: u64,
    /// Which schedule.
    pub schedule_id: Uuid,
    /// When the fault began, on the run's clock.
    pub began: DateTime<Utc>,
    /// Names the run in whatever is wrong: its fault and seed.
    pub name: &'a str,
}

/// Looks at everything.
pub async fn examine(evidence: &Evidence<'_>) -> anyhow::Result<Outcome> {
    let Evidence {
        pool,
        ledger,
        from,
        schedule_id,
        began,
        name,
    } = *evidence;
    let proof = prove(pool, ledger, from, schedule_id)
        .await
        .context("the proof")?;
    let held = held(pool, schedule_id).await?;
    let mut findings = proof.findings;
    let mut outcome = Outcome {
        runs: 1,
        uncertain: findings.uncertain,
        held: held.len() as u64,
        ..Outcome::default()
    };
    outcome.recipients = proof.case.recipients().count() as u64;
    if let Some(reason) = &proof.no_ledger {
        outcome
            .problems
            .push(format!("{name}: no ledger: {reason}"));
    }
    // What is held is shown, and to be restarted.
    findings
        .problems
        .retain(|problem| !(problem.kind == Kind::Unfinished && held.contains(&problem.seq)));
    for (kind, (count, examples)) in findings.by_kind() {
        match kind {
            Kind::Unfinished | Kind::Lost | Kind::NoId => outcome.lost += count,
            Kind::Doubled | Kind::ResentWithoutReason => outcome.doubled += count,
            Kind::WrongText | Kind::Early | Kind::ResentEarly | Kind::HistoryMissing => {}
        }
        outcome.problems.push(format!(
            "{name}: {count} recipients {}, such as {examples:?}",
            kind.sentence()
        ));
    }
    let wrong = history::forbidden_steps(pool, schedule_id).await?;
    outcome
        .problems
        .extend(wrong.into_iter().map(|step| format!("{name}: {step}")));
    let wrong = wrong_counts(pool, schedule_id).await?;
    outcome.problems.extend(
        wrong
            .into_iter()
            .map(|batch| format!("{name}: the counts of batch {batch} are not those of its rows")),
    );
    let last = proof
        .case
        .rows
        .iter()
        .flat_map(|row| [row.sent_ms, row.final_ms])
        .flatten()
        .max();
    let healed = last
        .map_or(0, |last| last - began.timestamp_millis())
        .max(0);
    outcome.heal.push(Duration::from_millis(healed as u64));
    Ok(outcome)
}

/// Recipients that were never sent to and wait for a person: in a missed or parked batch, or a schedule that was missed as a whole.
async fn held(pool: &MySqlPool, schedule_id: Uuid) -> sqlx::Result<HashSet<u32>> {
    let rows = "SELECT r.seq FROM recipients r JOIN schedules s ON s.id = r.schedule_id
          LEFT JOIN batches b ON b.schedule_id = r.schedule_id AND r.seq BETWEEN b.first_seq AND b.last_seq
        WHERE r.schedule_id = ? AND r.status NOT IN ('DELIVRD', 'UNCERTAIN')
          AND ((r.status = 'PENDING' AND (b.missed_at IS NOT NULL OR (s.status = 'missed' AND s.batch_count IS NULL))) OR b.crashes >= 3)";
    sqlx::query_scalar(rows)
        .bind(schedule_id)
        .fetch_all(pool)
        .await
        .map(|seqs| seqs.into_iter().collect())
}

/// Batches at rest whose counts differ from their rows.
async fn wrong_counts(pool: &MySqlPool, schedule_id: Uuid) -> sqlx::Result<Vec<u32>> {
    const STATES: [&str; 13] = [
        "pending",
        "sending",
        "uncertain",
        "acceptd",
        "enroute",
        "delivrd",
        "undeliv",
        "expired",
        "deleted",
        "rejectd",
        "unknown",
        "cancelled",
        "suppressed",
    ];
    let differ: Vec<_> = STATES
        .iter()
        .map(|state| {
            format!(
                "MAX(b.{state}) <> SUM(r.status = '{}')",
                state.to_uppercase()
            )
        })
        .collect();
    let sql = format!(
        "SELECT b.batch_no FROM batches b JOIN recipients r ON r.schedule_id = b.schedule_id AND r.seq BETWEEN b.first_seq AND b.last_seq
         WHERE b.schedule_id = ? AND b.claim_token IS NULL GROUP BY b.schedule_id, b.batch_no HAVING {}",
        differ.join(" OR ")
    );
    let rows = sqlx::query(&sql).bind(schedule_id).fetch_all(pool).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
