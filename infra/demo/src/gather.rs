//! Gathers the evidence of one schedule that is over, and has it examined.

use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    evidence::{Case, Elsewhere, Entry},
    ledger::{Ledger, Reading},
    proof::{self, Findings},
    rows::{self, ScheduleRow},
};

/// The evidence, and what was found in it.
#[derive(Debug)]
pub struct Proof {
    /// The schedule.
    pub schedule: ScheduleRow,
    /// Its rows.
    pub case: Case,
    /// What was found.
    pub findings: Findings,
    /// Why the proof is from the database alone, if it is.
    pub no_ledger: Option<String>,
}

/// Reads rows and ledger, the latter from its `from`-th acceptance on, and compares them.
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
            let strangers = proof::strangers(&case, &mut entries);
            let strangers: Vec<&Entry> = strangers.into_iter().map(|at| &entries[at]).collect();
            let elsewhere = rows::elsewhere(pool, id, &schedule.message, &strangers).await?;
            (proof::examine(&case, Some(&mut entries), &elsewhere), None)
        }
        Reading::None(reason) => (
            proof::examine(&case, None, &Elsewhere::default()),
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
