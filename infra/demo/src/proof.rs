//! The proof: the ledger's acceptances match the database's attempts, number by number, and a
//! second acceptance of a number happened only after the first attempt had ended UNDELIV or
//! EXPIRED.
//!
//! Pure functions: the input is the evidence, the output is the findings. The tests show that the
//! proof can fail.

mod history;
mod matching;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use shared::message::status::Status;

use crate::evidence::{Case, Entry, OtherSchedules, Row};

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The status is not final, though nothing more will happen without an operator.
    Unfinished,
    /// The database claims an acceptance that is not in the ledger.
    Lost,
    /// The database claims an acceptance without the carrier's id.
    NoId,
    /// The ledger has one more acceptance than the database has attempts.
    Doubled,
    /// Accepted with another text, according to the ledger.
    WrongText,
    /// Sent before the schedule's time.
    Early,
    /// Sent again before the previous attempt had ended.
    ResentEarly,
    /// Sent again though the previous attempt didn't end UNDELIV or EXPIRED.
    ResentWithoutReason,
    /// An earlier attempt was not recorded.
    HistoryMissing,
}

impl Kind {
    /// Returns the description that the summary shows.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Unfinished => "not final",
            Self::Lost => "recorded as accepted, but not in the ledger",
            Self::NoId => "recorded as accepted, but without the carrier's id",
            Self::Doubled => "accepted once more than there are attempts (a double send)",
            Self::WrongText => "accepted with another text",
            Self::Early => "sent before the schedule's time",
            Self::ResentEarly => "sent again before the previous attempt had ended",
            Self::ResentWithoutReason => {
                "sent again though the previous attempt had not ended UNDELIV or EXPIRED"
            }
            Self::HistoryMissing => "an earlier attempt was not recorded",
        }
    }
}

/// A problem with one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The kind of the problem.
    pub kind: Kind,
    /// `recipients.seq`
    pub seq: u32,
}

/// The result of the proof.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Whether there was a ledger; otherwise only the database was examined.
    pub with_ledger: bool,
    /// All problems. If there are none, the proof holds.
    pub problems: Vec<Problem>,
    /// The count of attempts that the carrier accepted, according to the database.
    pub accepted_attempts: u64,
    /// The count of their message ids, one per part.
    pub accepted_messages: u64,
    /// The count of acceptances in the ledger that match those ids.
    pub matched: u64,
    /// The count of attempts that are or were UNCERTAIN.
    pub uncertain: u64,
    /// The count of acceptances in the ledger that are explained by UNCERTAIN attempts.
    pub uncertain_accepted: u64,
    /// The count of acceptances to the same numbers that belong to other schedules or have another
    /// text.
    pub others: u64,
    /// The count of messages that the carrier shortened.
    pub cut: u64,
    /// The time of the first matched acceptance, in milliseconds since 1970.
    pub first_accepted_ms: Option<i64>,
    /// The time of the last matched acceptance, in milliseconds since 1970.
    pub last_accepted_ms: Option<i64>,
}

impl Findings {
    /// Returns whether there are no problems.
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    /// Returns the count of each kind of problem, with the first five recipients.
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

    fn add_problem(&mut self, kind: Kind, seq: u32) {
        self.problems.push(Problem { kind, seq });
    }
}

/// Returns whether a row's status implies that the carrier accepted the message. REJECTD does not:
/// a refused request ends with it too.
fn claims_acceptance(row: &Row) -> bool {
    use Status::{Acceptd, Deleted, Delivrd, Enroute, Expired, Undeliv, Unknown};
    matches!(
        row.status,
        Acceptd | Enroute | Delivrd | Undeliv | Expired | Deleted | Unknown
    )
}

/// Returns the indexes of the acceptances in the ledger that match no attempt of the case. The
/// caller has to look up whether they belong to other schedules.
pub fn unmatched(case: &Case, ledger: &mut [Entry]) -> Vec<usize> {
    matching::sort(ledger);
    let (used, _) = matching::match_ids(case, ledger);
    (0..ledger.len()).filter(|&at| !used[at]).collect()
}

/// Compares the evidence. Without a ledger, examines the database alone.
pub fn examine(case: &Case, ledger: Option<&mut [Entry]>, others: &OtherSchedules) -> Findings {
    let mut findings = Findings {
        with_ledger: ledger.is_some(),
        ..Findings::default()
    };
    for rows in case.recipients() {
        history::check(case, rows, &mut findings);
    }
    match ledger {
        Some(ledger) => matching::check(case, ledger, others, &mut findings),
        None => matching::check_ids_differ(case, &mut findings),
    }
    findings.problems.sort_unstable();
    findings.problems.dedup();
    findings
}
