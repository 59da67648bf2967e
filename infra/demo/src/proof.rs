//! The proof: the ledger's acceptances are the database's attempts, number by number, and a second acceptance of a number came
//! only after the first had ended UNDELIV or EXPIRED.
//!
//! Pure: evidence in, findings out. Its tests show that it can fail.

mod history;
mod matching;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use shared::message::status::Status;

use crate::evidence::{Case, Elsewhere, Entry, Row};

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Not at an end, though nothing more will happen by itself.
    Unfinished,
    /// The database claims an acceptance that is not in the ledger.
    Lost,
    /// The database claims an acceptance without the carrier's id.
    NoId,
    /// In the ledger once more than the database has attempts.
    Doubled,
    /// In the ledger with another text.
    WrongText,
    /// Sent before the schedule's time.
    Early,
    /// Sent again before the attempt before it had ended.
    ResentEarly,
    /// Sent again though the attempt before it didn't end UNDELIV or EXPIRED.
    ResentWithoutReason,
    /// An earlier attempt was not kept.
    HistoryMissing,
}

impl Kind {
    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Unfinished => "not at an end",
            Self::Lost => "said to be accepted, but not in the ledger",
            Self::NoId => "said to be accepted, but without the carrier's id",
            Self::Doubled => "accepted once more than there are attempts (a double send)",
            Self::WrongText => "accepted with another text",
            Self::Early => "sent before the schedule's time",
            Self::ResentEarly => "sent again before the attempt before had ended",
            Self::ResentWithoutReason => {
                "sent again though the attempt before had not ended UNDELIV or EXPIRED"
            }
            Self::HistoryMissing => "an earlier attempt was not kept",
        }
    }
}

/// Something wrong with one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What.
    pub kind: Kind,
    /// `recipients.seq`
    pub seq: u32,
}

/// What the proof found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Whether there was a ledger; without one only the database was looked at.
    pub with_ledger: bool,
    /// Everything that is wrong; none: the proof holds.
    pub problems: Vec<Problem>,
    /// Attempts that the carrier accepted, says the database.
    pub accepted_attempts: u64,
    /// Their message ids, one for each part.
    pub accepted_messages: u64,
    /// Acceptances in the ledger that are theirs.
    pub matched: u64,
    /// Attempts that are or were UNCERTAIN.
    pub uncertain: u64,
    /// Acceptances in the ledger that belong to them.
    pub uncertain_accepted: u64,
    /// Acceptances to the same numbers that are other schedules', or have another text.
    pub others: u64,
    /// Messages that the carrier shortened.
    pub cut: u64,
    /// The first of the matched, milliseconds since 1970.
    pub first_accepted_ms: Option<i64>,
    /// The last.
    pub last_accepted_ms: Option<i64>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    /// How often each thing is wrong, with the first few recipients.
    pub fn by_kind(&self) -> BTreeMap<Kind, (u64, Vec<u32>)> {
        let mut kinds = BTreeMap::<Kind, (u64, Vec<u32>)>::new();
        for problem in &self.problems {
            let (count, examples) = kinds.entry(problem.kind).or_default();
            *count += 1;
            if examples.len() < 5 {
                examples.push(problem.seq);
            }
        }
        kinds
    }

    fn wrong(&mut self, kind: Kind, seq: u32) {
        self.problems.push(Problem { kind, seq });
    }
}

/// Whether such a row says that the carrier accepted the message. REJECTD says nothing: a refused request ends so too.
fn claims_acceptance(row: &Row) -> bool {
    use Status::{Acceptd, Deleted, Delivrd, Enroute, Expired, Undeliv, Unknown};
    matches!(
        row.status,
        Acceptd | Enroute | Delivrd | Undeliv | Expired | Deleted | Unknown
    )
}

/// Acceptances that no attempt of the case has, as places in the ledger: whether they are other schedules' has to be looked up.
pub fn strangers(case: &Case, ledger: &mut [Entry]) -> Vec<usize> {
    matching::sort(ledger);
    let (used, _) = matching::match_ids(case, ledger);
    (0..ledger.len()).filter(|&at| !used[at]).collect()
}

/// Compares all. Without a ledger, what the database alone can show.
pub fn examine(case: &Case, ledger: Option<&mut [Entry]>, elsewhere: &Elsewhere) -> Findings {
    let mut findings = Findings {
        with_ledger: ledger.is_some(),
        ..Findings::default()
    };
    for rows in case.recipients() {
        history::check(case, rows, &mut findings);
    }
    match ledger {
        Some(ledger) => matching::check(case, ledger, elsewhere, &mut findings),
        None => matching::check_ids_differ(case, &mut findings),
    }
    findings.problems.sort_unstable();
    findings.problems.dedup();
    findings
}
