//! Properties of every fault of the lab, checked on its plans alone, without a database.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use fastrand::Rng;

use super::ALL;
use crate::{
    lab::{
        conditions::Conditions,
        intervention::Intervention,
        plan::Plan,
        script::{Script, Step},
    },
    server::Server,
};

/// Plays a plan's script to its end, with the interventions of all traps at the schedule's time.
/// Returns the conditions that hold at the end, and whether any held before.
fn play_script(plan: &Plan) -> (Conditions, bool) {
    let run_at = DateTime::<Utc>::UNIX_EPOCH;
    let mut script = Script::new(&plan.script, run_at);
    let (mut conditions, mut any_began) = (Conditions::default(), false);
    let mut execute = |step| match step {
        Step::Begin(id, condition) => {
            any_began = true;
            conditions.begin(id, condition);
        }
        Step::End(id) => conditions.end(id),
        Step::Execute(_) => {}
    };
    for intervention in plan.interventions() {
        execute(script.begin(intervention, run_at));
    }
    while let Some(at) = script.next_at() {
        while let Some(step) = script.take_due(at) {
            execute(step);
        }
    }
    (conditions, any_began)
}

#[test]
fn the_carrier_and_the_network_are_back_to_normal_after_every_fault() {
    let mut faults_with_intervals = HashSet::new();
    for fault in ALL {
        for seed in 0..50 {
            let plan = (fault.plan)(&mut Rng::with_seed(seed));
            let (conditions, any_began) = play_script(&plan);
            let name = fault.name;
            assert_eq!(
                conditions.carrier_settings(&plan.carrier),
                plan.carrier,
                "{name} SEED={seed}"
            );
            for server in Server::ALL {
                assert!(
                    !conditions.refuses(server),
                    "{name} SEED={seed}: {server:?}"
                );
            }
            assert!(conditions.throttled().is_empty() && conditions.without_database().is_empty());
            assert!(!conditions.hold_connections(), "{name} SEED={seed}");
            assert_eq!(conditions.webhook_answer(), None, "{name} SEED={seed}");
            if any_began {
                faults_with_intervals.insert(name);
            }
        }
    }
    // The check would prove nothing if no fault had an interval.
    for name in [
        "carrier-down-for-40-minutes",
        "status-down-for-an-hour",
        "database-cut",
    ] {
        assert!(faults_with_intervals.contains(name), "{name}");
    }
}

#[test]
fn every_interval_has_a_length() {
    for fault in ALL {
        for seed in 0..50 {
            let plan = (fault.plan)(&mut Rng::with_seed(seed));
            let empty = plan
                .interventions()
                .any(|each| matches!(each, Intervention::During { for_s: 0, .. }));
            assert!(!empty, "{} SEED={seed}", fault.name);
        }
    }
}
