//! Each expectation accepts what it should, and finds what it should not accept.

use super::*;

fn schedule(run_at_ms: i64, accepted_ms: impl IntoIterator<Item = i64>) -> SentSchedule {
    let accepted_ms: Vec<_> = accepted_ms.into_iter().collect();
    SentSchedule {
        run_at_ms,
        starts_ms: run_at_ms,
        recipients: accepted_ms.len(),
        ended: 0,
        accepted_ms,
    }
}

fn sent(schedules: Vec<SentSchedule>) -> Evidence {
    Evidence {
        schedules,
        ..Evidence::default()
    }
}

/// Every 100 ms, with a pause from second 3 to second 8.
fn drip() -> Vec<i64> {
    (0..30).chain(80..110).map(|tenth| tenth * 100).collect()
}

fn keeps_rate(accepted_ms: Vec<i64>) -> bool {
    let expectation = Expectation::KeepsRate {
        per_second: 10,
        longest_gap_ms: 2_000,
        pause_s: [3, 8],
    };
    expectation
        .problem(&sent(vec![schedule(0, accepted_ms)]))
        .is_none()
}

#[test]
fn a_late_first_message_is_found() {
    let evidence = sent(vec![schedule(0, [100, 9_000]), schedule(5_000, [8_500])]);
    let problem = |most_ms| Expectation::FirstWithin { most_ms }.problem(&evidence);
    assert!(problem(4_000).is_none());
    assert!(problem(3_000).is_some_and(|problem| problem.contains("schedule 1 began 3500 ms")));
}

#[test]
fn unequal_shares_are_found() {
    let evidence = sent(vec![
        schedule(0, 0..100),
        schedule(0, (0..100).map(|n| n * 2)),
    ]);
    let problem = |least| {
        let schedules = [0, 1];
        Expectation::EqualShares { schedules, least }.problem(&evidence)
    };
    assert!(problem(0.5).is_none());
    assert!(problem(0.6).is_some());
}

#[test]
fn a_burst_and_a_gap_are_found() {
    assert!(keeps_rate(drip()));
    let burst = drip().into_iter().chain([10_900; 15]).collect();
    assert!(!keeps_rate(burst));
    let gap = drip()
        .into_iter()
        .filter(|at_ms| !(500..2_600).contains(at_ms));
    assert!(!keeps_rate(gap.collect()));
    let longer_pause = drip()
        .into_iter()
        .filter(|at_ms| !(2_000..10_000).contains(at_ms));
    assert!(!keeps_rate(longer_pause.collect()));
}

#[test]
fn a_message_in_a_silent_interval_is_found() {
    let problem = |accepted_ms: &[i64]| {
        let silent = Expectation::Silent {
            schedule: 0,
            from_s: 2,
            to_s: 5,
        };
        silent.problem(&sent(vec![schedule(0, accepted_ms.iter().copied())]))
    };
    assert!(problem(&[1_999, 5_000]).is_none());
    for wrong in [&[1_999, 3_000, 5_000][..], &[1_999], &[5_000]] {
        assert!(problem(wrong).is_some(), "{wrong:?}");
    }
}

#[test]
fn a_rest_that_is_sent_too_late_is_found() {
    let evidence = sent(vec![schedule(0, [1_000, 4_000])]);
    let problem = |by_s| Expectation::SentBy { schedule: 0, by_s }.problem(&evidence);
    assert!(problem(5).is_none() && problem(4).is_some());
}

#[test]
fn a_message_after_the_end_and_a_missing_one_are_found() {
    let problem = |accepted_ms: &[i64], ended| {
        let schedule = SentSchedule {
            recipients: 5,
            ended,
            ..schedule(0, accepted_ms.iter().copied())
        };
        Expectation::EndsAt { at_s: 3 }.problem(&sent(vec![schedule]))
    };
    assert!(problem(&[1_000, 3_200], 3).is_none());
    assert!(problem(&[1_000, 3_700], 3).is_some());
    assert!(problem(&[1_000, 3_000], 2).is_some());
    assert!(problem(&[], 5).is_some());
}

#[test]
fn a_message_beyond_a_budget_is_found() {
    let problem = |accepted_ms: &[i64]| {
        let schedule = schedule(0, accepted_ms.iter().copied());
        let expected = Expectation::AtMost {
            messages: 2,
            until_s: 3,
        };
        expected.problem(&sent(vec![schedule])).is_some()
    };
    assert!(!problem(&[1_000, 2_999, 3_000]));
    assert!(!problem(&[4_000]));
    assert!(problem(&[1_000, 2_000, 2_999, 3_000]));
    assert!(problem(&[1_000, 2_000]), "nothing after the raise");
}

#[test]
fn too_many_refusals_and_a_fault_that_did_not_happen_are_found() {
    let evidence = |throttled, without_credit| Evidence {
        requests: 100,
        throttled,
        without_credit,
        ..Evidence::default()
    };
    let throttled = Expectation::Throttled { most: 0.05 };
    let at_most = Expectation::ThrottledAtMost { most: 0.05 };
    let credit = Expectation::OutOfCredit { most: 5 };
    for (count, expected) in [(0, false), (5, true), (6, false)] {
        assert_eq!(throttled.problem(&evidence(count, 0)).is_none(), expected);
        assert_eq!(at_most.problem(&evidence(count, 0)).is_none(), count <= 5);
        assert_eq!(credit.problem(&evidence(0, count)).is_none(), expected);
    }
}

#[test]
fn a_schedule_that_does_not_wait_for_its_window_is_found() {
    let evidence = |first_ms, changes: &[(i64, bool)]| Evidence {
        changes: changes
            .iter()
            .map(|&(at_ms, is_made)| AnsweredChange { at_ms, is_made })
            .collect(),
        ..sent(vec![SentSchedule {
            starts_ms: 600_000,
            ..schedule(0, [first_ms, 700_000])
        }])
    };
    let problem = |first_ms, changes: &[(i64, bool)]| {
        Expectation::WaitsForWindow.problem(&evidence(first_ms, changes))
    };
    let made = (10_000, true);
    assert_eq!(problem(600_000, &[made, (501_000, false)]), None);
    for (first_ms, changes, found) in [
        (599_000, &[made][..], "sent 1000 ms before the start"),
        (600_000, &[made, (499_000, false)], "a change 101000 ms"),
        (
            600_000,
            &[(-5_000, true), (650_000, true)],
            "no change was made",
        ),
    ] {
        let problem = problem(first_ms, changes);
        let is_found = problem
            .as_deref()
            .is_some_and(|text| text.starts_with(found));
        assert!(is_found, "{problem:?}");
    }
}
