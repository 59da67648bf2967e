//! Verifies a finished run: compares the carrier's ledger with the database, the counts with the
//! rows, and the history of the rows with the protocol.

use std::{collections::HashSet, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use demo::{
    gather::{Proof, prove},
    ledger::Ledger,
    proof::Kind,
};
use sqlx::{MySqlPool, Row};
use uuid::Uuid;

use crate::{history, outcome::Outcome};

/// A run whose schedule has ended, and where its rows and acceptances are.
pub struct FinishedRun<'a> {
    /// The database, as an administrator.
    pub pool: &'a MySqlPool,
    /// The carrier's ledger.
    pub ledger: &'a Ledger,
    /// Number of acceptances that the ledger held before the run.
    pub ledger_from: u64,
    /// The run's schedule.
    pub schedule_id: Uuid,
    /// When the fault began, on the run's clock.
    pub fault_began: DateTime<Utc>,
    /// The fault and its seed. Every problem starts with it.
    pub name: &'a str,
}

impl FinishedRun<'_> {
    /// Runs all checks.
    pub async fn verify(&self) -> anyhow::Result<Outcome> {
        let Self {
            pool,
            ledger,
            ledger_from,
            schedule_id,
            name,
            ..
        } = *self;
        let proof = prove(pool, ledger, ledger_from, schedule_id)
            .await
            .context("comparing the ledger with the database")?;
        let held = held_recipients(pool, schedule_id).await?;
        let mut outcome = Outcome {
            runs: 1,
            recipients: proof.case.recipients().count() as u64,
            uncertain: proof.findings.uncertain,
            held: held.len() as u64,
            recovery: vec![self.recovery_time(&proof)],
            ..Outcome::default()
        };
        if let Some(reason) = &proof.no_ledger {
            let problem = format!("{name}: no ledger: {reason}");
            outcome.problems.push(problem);
        }
        self.add_findings(proof, &held, &mut outcome);
        for change in history::forbidden_changes(pool, schedule_id).await? {
            outcome.problems.push(format!("{name}: {change}"));
        }
        for batch in batches_with_wrong_counts(pool, schedule_id).await? {
            outcome.problems.push(format!(
                "{name}: the counts of batch {batch} differ from its rows"
            ));
        }
        Ok(outcome)
    }

    /// Adds the differences between the ledger and the rows. A held recipient that is unfinished is
    /// not a problem: it is reported, and an operator restarts it.
    fn add_findings(&self, proof: Proof, held: &HashSet<u32>, outcome: &mut Outcome) {
        let mut findings = proof.findings;
        findings
            .problems
            .retain(|problem| !(problem.kind == Kind::Unfinished && held.contains(&problem.seq)));
        for (kind, (count, examples)) in findings.by_kind() {
            match kind {
                Kind::Unfinished | Kind::Lost | Kind::NoId => outcome.lost += count,
                Kind::Doubled | Kind::ResentWithoutReason => outcome.duplicated += count,
                Kind::WrongText | Kind::Early | Kind::ResentEarly | Kind::HistoryMissing => {}
            }
            outcome.problems.push(format!(
                "{}: {count} recipients {}, such as {examples:?}",
                self.name,
                kind.sentence()
            ));
        }
    }

    /// Returns the time from the fault to the last change of a row.
    fn recovery_time(&self, proof: &Proof) -> Duration {
        let last_ms = proof
            .case
            .rows
            .iter()
            .flat_map(|row| [row.sent_ms, row.final_ms])
            .flatten()
            .max();
        let recovery_ms =
            last_ms.map_or(0, |last_ms| last_ms - self.fault_began.timestamp_millis());
        Duration::from_millis(recovery_ms.max(0) as u64)
    }
}

/// Returns the recipients that were never sent to and wait for an operator: those in a missed or
/// parked batch, or in a schedule that was missed as a whole.
async fn held_recipients(pool: &MySqlPool, schedule_id: Uuid) -> sqlx::Result<HashSet<u32>> {
    let rows = "SELECT r.seq FROM recipients r JOIN schedules s ON s.id = r.schedule_id
          LEFT JOIN batches b ON b.schedule_id = r.schedule_id
            AND r.seq BETWEEN b.first_seq AND b.last_seq
        WHERE r.schedule_id = ? AND r.status NOT IN ('DELIVRD', 'UNCERTAIN')
          AND (b.crashes >= 3 OR (r.status = 'PENDING' AND (
            b.missed_at IS NOT NULL OR (s.status = 'missed' AND s.batch_count IS NULL))))";
    sqlx::query_scalar(rows)
        .bind(schedule_id)
        .fetch_all(pool)
        .await
        .map(|seqs| seqs.into_iter().collect())
}

/// Returns the unclaimed batches whose counts differ from their rows.
async fn batches_with_wrong_counts(pool: &MySqlPool, schedule_id: Uuid) -> sqlx::Result<Vec<u32>> {
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
    let differences: Vec<_> = STATES
        .iter()
        .map(|state| {
            format!(
                "MAX(b.{state}) <> SUM(r.status = '{}')",
                state.to_uppercase()
            )
        })
        .collect();
    let sql = format!(
        "SELECT b.batch_no FROM batches b JOIN recipients r ON r.schedule_id = b.schedule_id
           AND r.seq BETWEEN b.first_seq AND b.last_seq
         WHERE b.schedule_id = ? AND b.claim_token IS NULL
         GROUP BY b.schedule_id, b.batch_no HAVING {}",
        differences.join(" OR ")
    );
    let rows = sqlx::query(&sql).bind(schedule_id).fetch_all(pool).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
