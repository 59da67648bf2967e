//! Matching the ledger's acceptances with the attempts, by number and message id.

use std::collections::HashMap;

use shared::message::status::Status;

use super::{Findings, Kind, claims_acceptance};
use crate::evidence::{Case, Elsewhere, Entry, MessageId, Phone, Row, Text};

/// Where an attempt's acceptances stand in the ledger: row, first and last time, characters.
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

/// Gives each id of the case its entry of the sorted ledger: which entries are taken, and what is wrong. An id that the ledger
/// has twice takes both, and is a double send.
pub(super) fn match_ids(case: &Case, ledger: &[Entry]) -> (Vec<bool>, Vec<(Kind, u32)>) {
    let mut used = vec![false; ledger.len()];
    let mut wrong = Vec::new();
    for row in &case.rows {
        for &id in &row.ids {
            let found = find(ledger, row.phone, id);
            if found.len() > 1 {
                wrong.push((Kind::Doubled, row.seq));
            }
            // An id that another attempt of the number has claimed already is not there for this one.
            if found.is_empty() || used[found.start] {
                wrong.push((Kind::Lost, row.seq));
            }
            used[found].fill(true);
        }
    }
    (used, wrong)
}

/// The whole comparison.
pub(super) fn check(
    case: &Case,
    ledger: &mut [Entry],
    elsewhere: &Elsewhere,
    findings: &mut Findings,
) {
    sort(ledger);
    let (used, wrong) = match_ids(case, ledger);
    for (kind, seq) in wrong {
        findings.wrong(kind, seq);
    }
    findings.matched = used.iter().filter(|&&used| used).count() as u64;
    check_times_and_texts(case, ledger, findings);
    check_strangers(case, (ledger, &used), elsewhere, findings);
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
    // Of a message that lacks a part there is nothing to be said.
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
            findings.wrong(Kind::Early, row.seq);
        }
        if found.wrong_text {
            findings.wrong(Kind::WrongText, row.seq);
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
            findings.wrong(Kind::ResentEarly, row.seq);
        }
    }
}

/// What is left in the ledger: other schedules' messages, or those of attempts whose answer was lost. Anything else is a
/// double send.
fn check_strangers(
    case: &Case,
    (ledger, used): (&[Entry], &[bool]),
    elsewhere: &Elsewhere,
    findings: &mut Findings,
) {
    let left = ledger
        .iter()
        .zip(used)
        .filter(|(_, used)| !**used)
        .map(|(entry, _)| entry);
    let mut ours = HashMap::<Phone, u32>::new();
    for entry in left {
        let before = entry.at_ms.is_some_and(|at_ms| at_ms < case.created_ms);
        if before || entry.text == Text::Other || elsewhere.ids.contains(&(entry.phone, entry.id)) {
            findings.others += 1;
        } else {
            *ours.entry(entry.phone).or_default() += 1;
        }
    }
    if ours.is_empty() {
        return;
    }
    let phones = case.phones();
    for (phone, count) in ours {
        let Some(&first) = phones.get(&phone) else {
            findings.others += u64::from(count);
            continue;
        };
        let seq = case.rows[first].seq;
        let rows = case.rows[first..].iter().take_while(|row| row.seq == seq);
        let explained = rows
            .map(|row| unanswered(case, row))
            .sum::<u32>()
            .min(count);
        findings.uncertain_accepted += u64::from(explained);
        let theirs = elsewhere
            .open
            .get(&phone)
            .copied()
            .unwrap_or_default()
            .min(count - explained);
        findings.others += u64::from(theirs);
        for _ in explained + theirs..count {
            findings.wrong(Kind::Doubled, seq);
        }
    }
}

/// How many messages the carrier may have accepted in this attempt without our knowing their ids.
fn unanswered(case: &Case, row: &Row) -> u32 {
    let open = matches!(row.status, Status::Uncertain | Status::Sending);
    if open {
        case.parts.max(1).saturating_sub(row.ids.len() as u32)
    } else {
        0
    }
}

/// Without a ledger: at least no two attempts of a number have the same id.
pub(super) fn check_ids_differ(case: &Case, findings: &mut Findings) {
    for rows in case.recipients() {
        let mut ids: Vec<_> = rows.iter().flat_map(|row| &row.ids).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() < all {
            findings.wrong(Kind::Lost, rows[0].seq);
        }
    }
}
