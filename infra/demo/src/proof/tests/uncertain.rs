//! Tests of UNCERTAIN attempts.

use super::*;

#[test]
fn an_uncertain_attempt_explains_one_acceptance() {
    let ledger = vec![entry(1, "a", 20), entry(2, "b", 20), entry(2, "c", 20)];
    let rows = vec![
        row(1, Uncertain, ""),
        row(2, Uncertain, ""),
        row(3, Uncertain, ""),
    ];
    let findings = examine_alone(&case(rows), ledger);
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
fn an_uncertain_message_may_be_resent_by_policy() {
    let ledger = vec![entry(1, "a", 20), entry(1, "b", 4_100)];
    let rows = vec![earlier(1, Uncertain, ""), second(1, Delivrd, "b")];
    let case = Case {
        resends_uncertain: true,
        ..case(rows)
    };
    let findings = examine_alone(&case, ledger);
    assert_eq!(findings.problems, []);
    assert_eq!((findings.uncertain_accepted, findings.matched), (1, 1));
}

#[test]
fn a_response_may_arrive_after_the_policy_has_resent_the_message() {
    let case = |resends_uncertain| Case {
        resends_uncertain,
        ..case(vec![earlier(1, Acceptd, "a"), second(1, Delivrd, "b")])
    };
    let ledger = || vec![entry(1, "a", 20), entry(1, "b", 4_100)];
    assert_eq!(kinds(&examine_alone(&case(true), ledger())), []);
    assert_eq!(
        kinds(&examine_alone(&case(false), ledger())),
        [Kind::ResentWithoutReason]
    );
}

#[test]
fn each_of_several_recipients_of_a_number_explains_its_own_acceptance() {
    let copy = |seq, status, ids| Row {
        phone: row(1, Delivrd, "").phone,
        ..row(seq, status, ids)
    };
    let rows = || {
        vec![
            copy(1, Delivrd, "a"),
            copy(100_000_001, Uncertain, ""),
            copy(200_000_001, Uncertain, ""),
        ]
    };
    let ledger = |ids: &[&str]| ids.iter().map(|id| entry(1, id, 20)).collect::<Vec<_>>();
    let findings = examine_alone(&case(rows()), ledger(&["a", "b", "c"]));
    assert_eq!(findings.problems, []);
    assert_eq!((findings.matched, findings.uncertain_accepted), (1, 2));
    let once_more = examine_alone(&case(rows()), ledger(&["a", "b", "c", "d"]));
    assert_eq!(kinds(&once_more), [Kind::Doubled]);
    // Two of them with one id: the request had the number twice, and only one message was accepted.
    let shared = vec![copy(1, Delivrd, "a"), copy(100_000_001, Delivrd, "a")];
    let findings = examine_alone(&case(shared), ledger(&["a"]));
    assert_eq!(kinds(&findings), [Kind::Lost]);
}
