//! Shows that the lab can fail: it finds lost and duplicated messages. Needs `DATABASE_URL` of an
//! administrator.
#![cfg(feature = "fault-points")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::sync::LazyLock;

use chaos::{
    lab::{
        plan::{
            CarrierForm, Effect, Expectation, Plan, QueueFaults, SchedulerFaults, Trap,
            UncertainLimit,
        },
        run_plan,
    },
    outcome::Outcome,
};
use demo::proof::Kind;
use fastrand::Rng;
use shared::platform::fault::Point;

static URL: LazyLock<String> =
    LazyLock::new(|| std::env::var("DATABASE_URL").expect("DATABASE_URL"));

async fn run(change: impl FnOnce(&mut Plan)) -> Outcome {
    let mut rng = Rng::with_seed(3);
    let mut plan = Plan::calm(&mut rng);
    change(&mut plan);
    run_plan(plan, "broken".to_owned(), rng, &URL)
        .await
        .unwrap()
}

fn reports(outcome: &Outcome, text: &str) -> bool {
    outcome
        .problems
        .iter()
        .any(|problem| problem.contains(text))
}

#[tokio::test]
async fn a_run_without_faults_has_no_problems() {
    let outcome = run(|_| ()).await;
    assert!(
        outcome.holds() && outcome.recipients >= 20 && outcome.uncertain == 0,
        "{outcome:?}"
    );
}

#[tokio::test]
async fn messages_lost_by_the_queues_are_found_if_no_sweep_runs() {
    let outcome = run(|plan| {
        plan.queues = QueueFaults {
            lost: 1.0,
            ..QueueFaults::default()
        };
        plan.sweeps_skipped = 1.0;
    })
    .await;
    assert!(
        outcome.lost == outcome.recipients
            && reports(&outcome, "stuck")
            && reports(&outcome, Kind::Unfinished.sentence()),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_schedule_that_is_never_dispatched_is_found() {
    let outcome = run(|plan| {
        plan.events = SchedulerFaults {
            never: true,
            ..SchedulerFaults::default()
        };
        plan.sweeps_skipped = 1.0;
    })
    .await;
    assert!(
        outcome.lost > 0 && reports(&outcome, "stuck"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_adapter_that_sends_twice_is_found() {
    for form in [CarrierForm::Bare, CarrierForm::OwnIds] {
        let outcome = run(|plan| (plan.submits_twice, plan.form) = (true, form)).await;
        assert!(
            outcome.duplicated == outcome.recipients && reports(&outcome, Kind::Doubled.sentence()),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_crash_that_leaves_more_uncertain_than_it_may_is_found() {
    let outcome = run(|plan| {
        plan.traps = vec![Trap::new(&[Point::InFlight], 1.0, 1, Effect::Kill)];
        plan.kills.in_a_row = 1;
        plan.uncertain = UncertainLimit::Zero;
    })
    .await;
    assert!(
        outcome.uncertain > 0 && reports(&outcome, "are UNCERTAIN; at most 0"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_limit_that_is_not_kept_and_a_message_that_is_late_are_found() {
    let outcome = run(|plan| {
        plan.parts_per_second = Some(500);
        plan.carrier.capacity_parts = 20;
        (plan.recipients, plan.rate) = (60, None);
        plan.expectations = vec![
            Expectation::ThrottledAtMost { most: 0.02 },
            Expectation::FirstWithin { most_ms: -1 },
        ];
    })
    .await;
    assert!(
        reports(&outcome, "requests got 429") && reports(&outcome, "schedule 0 began"),
        "{outcome:?}"
    );
}
