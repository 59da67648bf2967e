//! Matches the ledger's acceptances with the attempts, by number and message id.

use std::collections::HashMap;

use shared::message::status::Status;

use super::{Findings, Kind, Problem, claims_acceptance};
use crate::evidence::{Case, Entry, MessageId, OtherSchedules, Phone, Row, Text};

/// The acceptances of one attempt: its row, the first and last time, and the count of characters.
struct Accepted {
    row: usize,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    characters: Option<u32>,
    wrong_text: bool,
}

pub(super) fn sort(ledger: &mut [Entry]) {
    ledger.sort_unstable_by_key(|entry| (entry.phone, entry.id));
}

fn find(ledger: &[Entry], phone: Phone, id: MessageId) -> std::ops::Range<usize> {
    let key = |entry: &Entry| (entry.phone, entry.id);
    let first = ledger.partition_point(|entry| key(entry) < (phone, id));
    let count = ledger[first..]
        .iter()
        .take_while(|entry| key(entry) == (phone, id))
        .count();
    first..first + count
}

/// Matches each id of the case with its entry of the sorted ledger. Returns which entries are used,
/// and the problems. An id that the ledger has twice uses both entries, and is a double send.
pub(super) fn match_ids(case: &Case, ledger: &[Entry]) -> (Vec<bool>, Vec<Problem>) {
    let mut used = vec![false; ledger.len()];
    let mut problems = Vec::new();
    for row in &case.rows {
        for &id in &row.ids {
            let found = find(ledger, row.phone, id);
            if found.len() > 1 {
                problems.push(Problem {
                    kind: Kind::Doubled,
                    seq: row.seq,
                });
            }
            // An id that another attempt of the number has used already is not available to this
            // one.
            if found.is_empty() || used[found.start] {
                problems.push(Problem {
                    kind: Kind::Lost,
                    seq: row.seq,
                });
            }
            used[found].fill(true);
        }
    }
    (used, problems)
}

/// Compares the whole ledger with the case.
pub(super) fn check(
    case: &Case,
    ledger: &mut [Entry],
    others: &OtherSchedules,
    findings: &mut Findings,
) {
    sort(ledger);
    let (used, problems) = match_ids(case, ledger);
    findings.problems.extend(problems);
    findings.matched = used.iter().filter(|&&used| used).count() as u64;
    check_times_and_texts(case, ledger, findings);
    let left = ledger.iter().zip(used).filter(|(_, used)| !used);
    let left = left.map(|(entry, _)| entry);
    let unmatched = count_own(case, left, others, findings);
    explain_unmatched(case, unmatched, others, findings);
}

fn accepted(ledger: &[Entry], at: usize, row: &Row) -> Accepted {
    let entries = || {
        row.ids
            .iter()
            .flat_map(|&id| &ledger[find(ledger, row.phone, id)])
    };
    let times = || entries().filter_map(|entry| entry.at_ms);
    let characters = entries().map(|entry| {
        if let Text::Ours(characters) = entry.text {
            Some(characters)
        } else {
            None
        }
    });
    // If a part is missing, the length of the whole text is unknown.
    let whole = claims_acceptance(row) && entries().count() >= row.ids.len();
    Accepted {
        row: at,
        first_ms: times().min(),
        last_ms: times().max(),
        characters: characters.sum::<Option<u32>>().filter(|_| whole),
        wrong_text: entries().any(|entry| entry.text == Text::Other),
    }
}

fn check_times_and_texts(case: &Case, ledger: &[Entry], findings: &mut Findings) {
    let rows = case
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| !row.ids.is_empty());
    for found in rows.map(|(at, row)| accepted(ledger, at, row)) {
        let row = &case.rows[found.row];
        findings.first_accepted_ms = findings
            .first_accepted_ms
            .into_iter()
            .chain(found.first_ms)
            .min();
        findings.last_accepted_ms = findings
            .last_accepted_ms
            .into_iter()
            .chain(found.last_ms)
            .max();
        if found
            .first_ms
            .is_some_and(|first_ms| first_ms < case.run_at_ms)
        {
            findings.add_problem(Kind::Early, row.seq);
        }
        if found.wrong_text {
            findings.add_problem(Kind::WrongText, row.seq);
        }
        findings.cut += u64::from(
            found
                .characters
                .is_some_and(|characters| characters < case.characters),
        );
        let before = found
            .row
            .checked_sub(1)
            .map(|before| &case.rows[before])
            .filter(|before| before.seq == row.seq);
        let ended_ms = before.and_then(|before| before.final_ms);
        if ended_ms
            .zip(found.first_ms)
            .is_some_and(|(ended_ms, first_ms)| first_ms < ended_ms)
        {
            findings.add_problem(Kind::ResentEarly, row.seq);
        }
    }
}

/// Counts the unmatched entries per number. Entries that certainly belong to another schedule are
/// not returned; they are counted in the findings.
fn count_own<'a>(
    case: &Case,
    unmatched: impl Iterator<Item = &'a Entry>,
    others: &OtherSchedules,
    findings: &mut Findings,
) -> HashMap<Phone, u32> {
    let mut own = HashMap::<Phone, u32>::new();
    for entry in unmatched {
        let is_earlier = entry.at_ms.is_some_and(|at_ms| at_ms < case.created_ms);
        if is_earlier || entry.text == Text::Other || others.ids.contains(&(entry.phone, entry.id))
        {
            findings.others += 1;
        } else {
            *own.entry(entry.phone).or_default() += 1;
        }
    }
    own
}

/// Attributes the remaining unmatched entries to attempts whose response was lost, of this schedule
/// or of another one: of all recipients with the number, which `unique_by: reference` allows. Any
/// entry beyond that is a double send.
fn explain_unmatched(
    case: &Case,
    unmatched: HashMap<Phone, u32>,
    others: &OtherSchedules,
    findings: &mut Findings,
) {
    if unmatched.is_empty() {
        return;
    }
    let phones = case.phones();
    let mut unanswered = HashMap::<Phone, u32>::new();
    for row in &case.rows {
        *unanswered.entry(row.phone).or_default() += unanswered_parts(case, row);
    }
    for (phone, count) in unmatched {
        let Some(&first) = phones.get(&phone) else {
            findings.others += u64::from(count);
            continue;
        };
        let seq = case.rows[first].seq;
        let explained = unanswered[&phone].min(count);
        findings.uncertain_accepted += u64::from(explained);
        let by_others = others
            .open
            .get(&phone)
            .copied()
            .unwrap_or_default()
            .min(count - explained);
        findings.others += u64::from(by_others);
        for _ in explained + by_others..count {
            findings.add_problem(Kind::Doubled, seq);
        }
    }
}

/// Returns how many messages of this attempt the carrier may have accepted without a known id.
fn unanswered_parts(case: &Case, row: &Row) -> u32 {
    let open = matches!(row.status, Status::Uncertain | Status::Sending);
    if open {
        case.parts.max(1).saturating_sub(row.ids.len() as u32)
    } else {
        0
    }
}

/// Checks, without a ledger, that no two attempts of a number have the same id.
pub(super) fn check_ids_differ(case: &Case, findings: &mut Findings) {
    for rows in case.recipients() {
        let mut ids: Vec<_> = rows.iter().flat_map(|row| &row.ids).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() < all {
            findings.add_problem(Kind::Lost, rows[0].seq);
        }
    }
}
