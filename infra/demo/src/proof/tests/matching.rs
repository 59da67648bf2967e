//! Tests of matching the ledger's acceptances with the attempts.

use super::*;

#[test]
fn correct_evidence_has_no_problems() {
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
    let ledger = vec![
        entry(4, "f", 4_100),
        entry(1, "a", 20),
        entry(2, "b", 20),
        entry(3, "c", 20),
        entry(3, "d", 4_100),
        entry(4, "e", 20),
    ];
    let findings = examine_alone(&case(rows), ledger);
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
fn missing_and_additional_acceptances_are_found() {
    let delivered = || vec![row(1, Delivrd, "a")];
    let accepted = |id| entry(1, id, 20);
    assert_kinds("lost", delivered(), vec![], &[Kind::Lost]);
    assert_kinds(
        "accepted under another number",
        delivered(),
        vec![entry(9, "a", 20)],
        &[Kind::Lost],
    );
    assert_kinds(
        "a double send",
        delivered(),
        vec![accepted("a"), entry(1, "b", 30)],
        &[Kind::Doubled],
    );
    assert_kinds(
        "an id twice in the ledger",
        delivered(),
        vec![accepted("a"), entry(1, "a", 30)],
        &[Kind::Doubled],
    );
    assert_kinds(
        "accepted, but cancelled",
        vec![row(1, Cancelled, "")],
        vec![accepted("a")],
        &[Kind::Doubled],
    );
    let without_id = vec![row(1, Delivrd, "")];
    assert_kinds("no id", without_id, vec![], &[Kind::NoId]);
}

#[test]
fn unfinished_rows_are_found() {
    let accepted = || vec![entry(1, "a", 20)];
    let pending = || vec![row(1, Pending, "")];
    assert_kinds("pending", pending(), vec![], &[Kind::Unfinished]);
    assert_kinds(
        "accepted, but pending",
        pending(),
        accepted(),
        &[Kind::Unfinished, Kind::Doubled],
    );
    assert_kinds(
        "still marked as SENDING",
        vec![row(1, Sending, "")],
        accepted(),
        &[Kind::Unfinished],
    );
    assert_kinds(
        "accepted, but without a final status",
        vec![row(1, Acceptd, "a")],
        accepted(),
        &[Kind::Unfinished],
    );
}

#[test]
fn an_acceptance_before_run_at_is_found_in_the_ledger() {
    let rows = vec![row(1, Delivrd, "a")];
    assert_kinds("early", rows, vec![entry(1, "a", -1)], &[Kind::Early]);
}

#[test]
fn a_send_before_run_at_is_found_in_the_database() {
    let early = Row {
        sent_ms: Some(RUN_AT - 1),
        ..row(1, Delivrd, "a")
    };
    assert_kinds(
        "the row",
        vec![early],
        vec![entry(1, "a", 20)],
        &[Kind::Early],
    );
}

#[test]
fn another_text_is_a_problem_and_a_shortened_text_is_counted() {
    let ledger = vec![
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
    let findings = examine_alone(&case, ledger);
    assert_eq!(kinds(&findings), [Kind::WrongText]);
    assert_eq!(findings.cut, 1);
}

#[test]
fn each_part_is_matched() {
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
        let ledger: Vec<_> = ids.into_iter().map(part).collect();
        let findings = examine_alone(&case, ledger);
        assert_eq!(kinds(&findings), expected, "{name}");
        assert_eq!(findings.cut, 0, "{name}");
    }
}
