//! That the proof holds for what is right, and that it fails for everything else.

use shared::message::status::Status::{
    self, Acceptd, Cancelled, Delivrd, Expired, Pending, Rejectd, Sending, Uncertain, Undeliv,
};

use super::*;
use crate::evidence::{MessageId, Text, phone};

const RUN_AT: i64 = 1_000_000;

/// A recipient's row: attempt 1, sent 10 ms after `run_at`, ended 2 s later.
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

/// The same recipient's earlier attempt.
fn earlier(seq: u32, status: Status, ids: &str) -> Row {
    Row {
        earlier: true,
        ..row(seq, status, ids)
    }
}

/// The attempt that follows an earlier one.
fn second(seq: u32, status: Status, ids: &str) -> Row {
    Row {
        attempt: 2,
        resends: 1,
        sent_ms: Some(RUN_AT + 4_000),
        final_ms: Some(RUN_AT + 6_000),
        ..row(seq, status, ids)
    }
}

/// An acceptance `after_ms` after `run_at`, with a text of ten characters.
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

fn check(rows: Vec<Row>, mut ledger: Vec<Entry>) -> Vec<Kind> {
    kinds(&examine(
        &case(rows),
        Some(&mut ledger),
        &Elsewhere::default(),
    ))
}

#[test]
fn what_is_right_holds() {
    let rows = vec![
        row(1, Delivrd, "a"),
        row(2, Delivrd, "b"),
        earlier(3, Undeliv, "c"),
        second(3, Delivrd, "d"),
        earlier(4, Expired, "e"),
        second(4, Undeliv, "f"),
        row(5, Cancelled, ""),
        row(6, Rejectd, ""),
    ];
    let mut ledger = vec![
        entry(4, "f", 4_100),
        entry(1, "a", 20),
        entry(2, "b", 20),
        entry(3, "c", 20),
        entry(3, "d", 4_100),
        entry(4, "e", 20),
    ];
    let findings = examine(&case(rows), Some(&mut ledger), &Elsewhere::default());
    assert_eq!(findings.problems, []);
    assert_eq!(
        (
            findings.accepted_attempts,
            findings.matched,
            findings.others,
            findings.cut
        ),
        (6, 6, 0, 0)
    );
    assert_eq!(
        (findings.first_accepted_ms, findings.last_accepted_ms),
        (Some(RUN_AT + 20), Some(RUN_AT + 4_100))
    );
}

#[test]
fn everything_wrong_is_found() {
    let delivered = || row(1, Delivrd, "a");
    let table = [
        ("lost", vec![delivered()], vec![], vec![Kind::Lost]),
        (
            "accepted under another number",
            vec![delivered()],
            vec![entry(9, "a", 20)],
            vec![Kind::Lost],
        ),
        (
            "a double send",
            vec![delivered()],
            vec![entry(1, "a", 20), entry(1, "b", 30)],
            vec![Kind::Doubled],
        ),
        (
            "an id twice in the ledger",
            vec![delivered()],
            vec![entry(1, "a", 20), entry(1, "a", 30)],
            vec![Kind::Doubled],
        ),
        (
            "accepted, but pending",
            vec![row(1, Pending, "")],
            vec![entry(1, "a", 20)],
            vec![Kind::Unfinished, Kind::Doubled],
        ),
        (
            "accepted, but cancelled",
            vec![row(1, Cancelled, "")],
            vec![entry(1, "a", 20)],
            vec![Kind::Doubled],
        ),
        (
            "pending",
            vec![row(1, Pending, "")],
            vec![],
            vec![Kind::Unfinished],
        ),
        (
            "still marked",
            vec![row(1, Sending, "")],
            vec![entry(1, "a", 20)],
            vec![Kind::Unfinished],
        ),
        (
            "not asked to the end",
            vec![row(1, Acceptd, "a")],
            vec![entry(1, "a", 20)],
            vec![Kind::Unfinished],
        ),
        ("no id", vec![row(1, Delivrd, "")], vec![], vec![Kind::NoId]),
        (
            "accepted early",
            vec![delivered()],
            vec![entry(1, "a", -1)],
            vec![Kind::Early],
        ),
    ];
    for (name, rows, ledger, expected) in table {
        assert_eq!(check(rows, ledger), expected, "{name}");
    }
}

#[test]
fn a_send_before_its_time_is_found_in_the_database() {
    let early = Row {
        sent_ms: Some(RUN_AT - 1),
        ..row(1, Delivrd, "a")
    };
    assert_eq!(check(vec![early], vec![entry(1, "a", 20)]), [Kind::Early]);
}

#[test]
fn another_text_is_found_and_a_shortened_one_counted() {
    let mut ledger = vec![
        Entry {
            text: Text::Other,
            ..entry(1, "a", 20)
        },
        Entry {
            text: Text::Ours(9),
            ..entry(2, "b", 20)
        },
        Entry {
            text: Text::Unknown,
            ..entry(3, "c", 20)
        },
    ];
    let case = case(vec![
        row(1, Delivrd, "a"),
        row(2, Delivrd, "b"),
        row(3, Delivrd, "c"),
    ]);
    let findings = examine(&case, Some(&mut ledger), &Elsewhere::default());
    assert_eq!(kinds(&findings), [Kind::WrongText]);
    assert_eq!(findings.cut, 1);
}

#[test]
fn a_second_attempt_needs_the_end_of_the_first() {
    let ledger = || vec![entry(1, "a", 20), entry(1, "b", 4_100)];
    let early = || Row {
        sent_ms: Some(RUN_AT + 1_999),
        ..second(1, Delivrd, "b")
    };
    let kept = || second(1, Delivrd, "b");
    let table = [
        (
            "sent too early",
            vec![earlier(1, Undeliv, "a"), early()],
            ledger(),
            vec![Kind::ResentEarly],
        ),
        (
            "accepted too early",
            vec![earlier(1, Undeliv, "a"), kept()],
            vec![entry(1, "a", 20), entry(1, "b", 1_999)],
            vec![Kind::ResentEarly],
        ),
        (
            "after DELIVRD",
            vec![earlier(1, Delivrd, "a"), kept()],
            ledger(),
            vec![Kind::ResentWithoutReason],
        ),
        (
            "after UNKNOWN",
            vec![earlier(1, Status::Unknown, "a"), kept()],
            ledger(),
            vec![Kind::ResentWithoutReason],
        ),
        (
            "after UNCERTAIN",
            vec![earlier(1, Uncertain, ""), kept()],
            ledger(),
            vec![Kind::ResentWithoutReason],
        ),
        (
            "not kept",
            vec![kept()],
            vec![entry(1, "b", 4_100)],
            vec![Kind::HistoryMissing],
        ),
        (
            "not kept, but in the ledger",
            vec![kept()],
            ledger(),
            vec![Kind::Doubled, Kind::HistoryMissing],
        ),
        (
            "kept for nobody",
            vec![earlier(1, Undeliv, "a")],
            vec![entry(1, "a", 20)],
            vec![Kind::HistoryMissing],
        ),
        (
            "the same id again",
            vec![earlier(1, Undeliv, "a"), second(1, Delivrd, "a")],
            vec![entry(1, "a", 4_100)],
            vec![Kind::Lost],
        ),
    ];
    for (name, rows, ledger, expected) in table {
        assert_eq!(check(rows, ledger), expected, "{name}");
    }
}

#[test]
fn an_uncertain_attempt_explains_one_acceptance() {
    let mut ledger = vec![entry(1, "a", 20), entry(2, "b", 20), entry(2, "c", 20)];
    let rows = vec![
        row(1, Uncertain, ""),
        row(2, Uncertain, ""),
        row(3, Uncertain, ""),
    ];
    let findings = examine(&case(rows), Some(&mut ledger), &Elsewhere::default());
    assert_eq!(
        findings.problems,
        [Problem {
            kind: Kind::Doubled,
            seq: 2
        }]
    );
    assert_eq!((findings.uncertain, findings.uncertain_accepted), (3, 2));
}

#[test]
fn an_uncertain_message_may_be_sent_again_by_policy() {
    let mut ledger = vec![entry(1, "a", 20), entry(1, "b", 4_100)];
    let rows = vec![earlier(1, Uncertain, ""), second(1, Delivrd, "b")];
    let case = Case {
        resends_uncertain: true,
        ..case(rows)
    };
    let findings = examine(&case, Some(&mut ledger), &Elsewhere::default());
    assert_eq!(findings.problems, []);
    assert_eq!((findings.uncertain_accepted, findings.matched), (1, 1));
}

#[test]
fn the_answer_may_come_after_the_policy_has_sent_it_again() {
    let case = |resends_uncertain| Case {
        resends_uncertain,
        ..case(vec![earlier(1, Acceptd, "a"), second(1, Delivrd, "b")])
    };
    let ledger = || vec![entry(1, "a", 20), entry(1, "b", 4_100)];
    assert_eq!(
        kinds(&examine(
            &case(true),
            Some(&mut ledger()),
            &Elsewhere::default()
        )),
        []
    );
    assert_eq!(
        kinds(&examine(
            &case(false),
            Some(&mut ledger()),
            &Elsewhere::default()
        )),
        [Kind::ResentWithoutReason]
    );
}

#[test]
fn every_part_is_accounted_for() {
    let part = |id| Entry {
        text: Text::Ours(4),
        ..entry(1, id, 20)
    };
    let table = [
        (
            "whole",
            row(1, Delivrd, "a,b,c"),
            vec!["a", "b", "c"],
            vec![],
        ),
        (
            "a part lost",
            row(1, Delivrd, "a,b,c"),
            vec!["a", "c"],
            vec![Kind::Lost],
        ),
        (
            "a part twice",
            row(1, Delivrd, "a,b,c"),
            vec!["a", "b", "c", "d"],
            vec![Kind::Doubled],
        ),
        (
            "an uncertain part",
            row(1, Uncertain, "a,b"),
            vec!["a", "b", "c"],
            vec![],
        ),
        (
            "four of three",
            row(1, Uncertain, ""),
            vec!["a", "b", "c", "d"],
            vec![Kind::Doubled],
        ),
    ];
    for (name, row, ids, expected) in table {
        let case = Case {
            parts: 3,
            ..case(vec![row])
        };
        let mut ledger: Vec<_> = ids.into_iter().map(part).collect();
        let findings = examine(&case, Some(&mut ledger), &Elsewhere::default());
        assert_eq!(kinds(&findings), expected, "{name}");
        assert_eq!(findings.cut, 0, "{name}");
    }
}

#[test]
fn other_schedules_messages_dont_confuse_it() {
    let mut ledger = vec![
        entry(1, "a", 20),
        entry(1, "other", 30),
        entry(1, "open", 40),
        Entry {
            text: Text::Other,
            ..entry(1, "advert", 30)
        },
        entry(1, "earlier run", -40_000),
    ];
    let case = case(vec![row(1, Delivrd, "a")]);
    assert_eq!(strangers(&case, &mut ledger).len(), 4);
    let number = ledger[0].phone;
    let elsewhere = Elsewhere {
        ids: [(number, MessageId::new("other"))].into(),
        open: [(number, 1)].into(),
    };
    let findings = examine(&case, Some(&mut ledger), &elsewhere);
    assert_eq!(
        (
            findings.problems.as_slice(),
            findings.others,
            findings.matched
        ),
        (&[][..], 4, 1)
    );
    let findings = examine(&case, Some(&mut ledger), &Elsewhere::default());
    assert_eq!(kinds(&findings), [Kind::Doubled], "two strangers, one line");
}

#[test]
fn the_database_alone_shows_less_but_something() {
    let rows = vec![
        row(1, Delivrd, "a"),
        row(2, Pending, ""),
        earlier(3, Undeliv, "b"),
        second(3, Delivrd, "b"),
    ];
    let findings = examine(&case(rows), None, &Elsewhere::default());
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
