//! Tests of the order of a recipient's attempts.

use super::*;

/// Returns the second attempt of recipient 1, sent after the first has ended.
fn resent() -> Row {
    second(1, Delivrd, "b")
}

/// Returns an acceptance of each of the two attempts.
fn both_accepted() -> Vec<Entry> {
    vec![entry(1, "a", 20), entry(1, "b", 4_100)]
}

#[test]
fn a_second_attempt_before_the_end_of_the_first_is_found() {
    let early = Row {
        sent_ms: Some(RUN_AT + 1_999),
        ..resent()
    };
    assert_kinds(
        "sent too early",
        vec![earlier(1, Undeliv, "a"), early],
        both_accepted(),
        &[Kind::ResentEarly],
    );
    assert_kinds(
        "accepted too early",
        vec![earlier(1, Undeliv, "a"), resent()],
        vec![entry(1, "a", 20), entry(1, "b", 1_999)],
        &[Kind::ResentEarly],
    );
}

#[test]
fn a_second_attempt_is_allowed_only_after_undeliv_or_expired() {
    for (status, id) in [(Delivrd, "a"), (Status::Unknown, "a"), (Uncertain, "")] {
        assert_kinds(
            status.as_str(),
            vec![earlier(1, status, id), resent()],
            both_accepted(),
            &[Kind::ResentWithoutReason],
        );
    }
}

#[test]
fn an_unrecorded_attempt_is_found() {
    assert_kinds(
        "the first attempt is not recorded",
        vec![resent()],
        vec![entry(1, "b", 4_100)],
        &[Kind::HistoryMissing],
    );
    assert_kinds(
        "the first attempt is not recorded, but in the ledger",
        vec![resent()],
        both_accepted(),
        &[Kind::Doubled, Kind::HistoryMissing],
    );
    assert_kinds(
        "an earlier attempt without the recipient's own row",
        vec![earlier(1, Undeliv, "a")],
        vec![entry(1, "a", 20)],
        &[Kind::HistoryMissing],
    );
}

#[test]
fn two_attempts_with_the_same_id_are_found() {
    assert_kinds(
        "the same id twice",
        vec![earlier(1, Undeliv, "a"), second(1, Delivrd, "a")],
        vec![entry(1, "a", 4_100)],
        &[Kind::Lost],
    );
}
