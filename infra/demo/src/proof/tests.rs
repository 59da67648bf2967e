//! Tests that the proof holds for correct evidence and fails for each kind of problem. This file
//! has the builders of evidence.

mod matching;
mod other_schedules;
mod resends;
mod uncertain;

use shared::message::status::Status::{
    self, Acceptd, Cancelled, Delivrd, Expired, Pending, Rejectd, Sending, Uncertain, Undeliv,
};

use super::*;
use crate::evidence::{MessageId, Text, phone};

const RUN_AT: i64 = 1_000_000;

/// Returns a recipient's row: attempt 1, sent 10 ms after `run_at`, final 2 s after `run_at`.
fn row(seq: u32, status: Status, ids: &str) -> Row {
    let sent = !matches!(status, Pending | Cancelled);
    Row {
        seq,
        phone: 60_110_000_000 + u64::from(seq),
        attempt: u32::from(sent),
        earlier: false,
        status,
        resends: 0,
        ids: MessageId::list(Some(ids)),
        sent_ms: sent.then_some(RUN_AT + 10),
        final_ms: status.is_final().then_some(RUN_AT + 2_000),
    }
}

/// Returns the row of an earlier attempt of the same recipient.
fn earlier(seq: u32, status: Status, ids: &str) -> Row {
    Row {
        earlier: true,
        ..row(seq, status, ids)
    }
}

/// Returns the row of a second attempt.
fn second(seq: u32, status: Status, ids: &str) -> Row {
    Row {
        attempt: 2,
        resends: 1,
        sent_ms: Some(RUN_AT + 4_000),
        final_ms: Some(RUN_AT + 6_000),
        ..row(seq, status, ids)
    }
}

/// Returns an acceptance `after_ms` after `run_at`, with a text of ten characters.
fn entry(seq: u32, id: &str, after_ms: i64) -> Entry {
    let dnis = format!(
        "{}{}",
        if seq.is_multiple_of(2) { "+" } else { "" },
        60_110_000_000 + u64::from(seq)
    );
    Entry {
        phone: phone(&dnis).unwrap(),
        id: MessageId::new(id),
        at_ms: Some(RUN_AT + after_ms),
        text: Text::Ours(10),
    }
}

fn case(rows: Vec<Row>) -> Case {
    Case {
        rows,
        run_at_ms: RUN_AT,
        created_ms: RUN_AT - 30_000,
        resends_uncertain: false,
        parts: 1,
        characters: 10,
    }
}

fn kinds(findings: &Findings) -> Vec<Kind> {
    findings
        .problems
        .iter()
        .map(|problem| problem.kind)
        .collect()
}

/// Examines the rows and the ledger, with no messages of other schedules.
fn examine_alone(case: &Case, mut ledger: Vec<Entry>) -> Findings {
    examine(case, Some(&mut ledger), &OtherSchedules::default())
}

/// Asserts which kinds of problems the rows and the ledger have.
fn assert_kinds(name: &str, rows: Vec<Row>, ledger: Vec<Entry>, expected: &[Kind]) {
    assert_eq!(
        kinds(&examine_alone(&case(rows), ledger)),
        expected,
        "{name}"
    );
}

#[test]
fn the_database_alone_shows_some_problems() {
    let rows = vec![
        row(1, Delivrd, "a"),
        row(2, Pending, ""),
        earlier(3, Undeliv, "b"),
        second(3, Delivrd, "b"),
    ];
    let findings = examine(&case(rows), None, &OtherSchedules::default());
    assert!(!findings.with_ledger && !findings.holds());
    assert_eq!(
        findings.problems,
        [
            Problem {
                kind: Kind::Unfinished,
                seq: 2
            },
            Problem {
                kind: Kind::Lost,
                seq: 3
            }
        ]
    );
    assert_eq!(findings.by_kind()[&Kind::Lost], (1, vec![3]));
}
