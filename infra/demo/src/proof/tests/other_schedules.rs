//! Tests of other schedules' messages to the same numbers.

use super::*;

#[test]
fn other_schedules_messages_are_not_double_sends() {
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
    assert_eq!(unmatched(&case, &mut ledger).len(), 4);
    let number = ledger[0].phone;
    let others = OtherSchedules {
        ids: [(number, MessageId::new("other"))].into(),
        open: [(number, 1)].into(),
    };
    let findings = examine(&case, Some(&mut ledger), &others);
    assert_eq!(
        (
            findings.problems.as_slice(),
            findings.others,
            findings.matched
        ),
        (&[][..], 4, 1)
    );
    let findings = examine_alone(&case, ledger);
    assert_eq!(
        kinds(&findings),
        [Kind::Doubled],
        "two unmatched acceptances are one problem"
    );
}
