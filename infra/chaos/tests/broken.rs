//! The lab can fail: worlds that lose or double messages are found out. Needs `DATABASE_URL`, as an administrator.
#![cfg(feature = "fault-points")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::sync::LazyLock;

use chaos::{
    lab::{
        plan::{Deliveries, Does, Events, Plan, Spoken, Trap, Uncertain},
        play_plan,
    },
    outcome::Outcome,
};
use fastrand::Rng;
use shared::platform::fault::Point;

static URL: LazyLock<String> =
    LazyLock::new(|| std::env::var("DATABASE_URL").expect("DATABASE_URL"));

async fn play(change: impl FnOnce(&mut Plan)) -> Outcome {
    let mut rng = Rng::with_seed(3);
    let mut plan = Plan::calm(&mut rng);
    change(&mut plan);
    play_plan(plan, "broken".to_owned(), rng, &URL)
        .await
        .unwrap()
}

fn says(outcome: &Outcome, what: &str) -> bool {
    outcome
        .problems
        .iter()
        .any(|problem| problem.contains(what))
}

#[tokio::test]
async fn a_calm_world_holds() {
    let outcome = play(|_| ()).await;
    assert!(
        outcome.holds() && outcome.recipients >= 20 && outcome.uncertain == 0,
        "{outcome:?}"
    );
}

#[tokio::test]
async fn queues_that_lose_everything_without_a_sweep_are_found_out() {
    let outcome = play(|plan| {
        plan.queues = Deliveries {
            lost: 1.0,
            ..Deliveries::default()
        };
        plan.sweeps_skipped = 1.0;
    })
    .await;
    assert!(
        outcome.lost == outcome.recipients
            && says(&outcome, "stuck")
            && says(&outcome, "not at an end"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_schedule_that_nobody_dispatches_is_found_out() {
    let outcome = play(|plan| {
        plan.events = Events {
            never: true,
            ..Events::default()
        };
        plan.sweeps_skipped = 1.0;
    })
    .await;
    assert!(outcome.lost > 0 && says(&outcome, "stuck"), "{outcome:?}");
}

#[tokio::test]
async fn an_adapter_that_sends_twice_is_found_out() {
    for form in [Spoken::Bare, Spoken::OwnIds] {
        let outcome = play(|plan| (plan.submits_twice, plan.form) = (true, form)).await;
        assert!(
            outcome.doubled == outcome.recipients && says(&outcome, "double send"),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_crash_that_costs_more_than_it_may_is_found_out() {
    let outcome = play(|plan| {
        plan.traps = vec![Trap::new(&[Point::InFlight], 1.0, 1, Does::Kill)];
        plan.kills.in_a_row = 1;
        plan.uncertain = Uncertain::Nobody;
    })
    .await;
    assert!(
        outcome.uncertain > 0 && says(&outcome, "are UNCERTAIN; at most 0"),
        "{outcome:?}"
    );
}
