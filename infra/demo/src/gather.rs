//! Reads the evidence of one schedule that is over, and examines it.

use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    evidence::{Case, Entry, OtherSchedules},
    ledger::{Ledger, Reading},
    proof::{self, Findings},
    rows::{self, ScheduleRow},
};

/// The evidence and the findings.
#[derive(Debug)]
pub struct Proof {
    /// The schedule's own row.
    pub schedule: ScheduleRow,
    /// The rows of its recipients.
    pub case: Case,
    /// The result of the comparison.
    pub findings: Findings,
    /// The reason why there was no ledger, if the proof is based on the database alone.
    pub no_ledger: Option<String>,
}

/// Reads the rows, and the ledger from acceptance `from` on, and compares them.
pub async fn prove(
    pool: &MySqlPool,
    ledger: &Ledger,
    from: u64,
    id: Uuid,
) -> anyhow::Result<Proof> {
    let schedule = rows::schedule(pool, id).await?;
    let case = rows::case(pool, id, &schedule).await?;
    let (findings, no_ledger) = match ledger.read(from, &case.phones(), &schedule.message).await? {
        Reading::Entries(mut entries) => {
            let unmatched = proof::unmatched(&case, &mut entries);
            let unmatched: Vec<&Entry> = unmatched.into_iter().map(|at| &entries[at]).collect();
            let others = rows::other_schedules(pool, id, &schedule.message, &unmatched).await?;
            (proof::examine(&case, Some(&mut entries), &others), None)
        }
        Reading::None(reason) => (
            proof::examine(&case, None, &OtherSchedules::default()),
            Some(reason),
        ),
    };
    Ok(Proof {
        schedule,
        case,
        findings,
        no_ledger,
    })
}
