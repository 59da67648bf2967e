//! A stop of all sending at any moment loses nothing, and sends nothing twice.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::ALL_POINTS,
    plan::{Act, Effect, Intervention, Kills, Plan, Scheduled, Trap, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "brake-races",
    description: "An operator stops and resumes all sending at random points of the processing, while \
                  environments are killed.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let trap = |act| {
        Trap::new(
            ALL_POINTS,
            0.08,
            4,
            Effect::Intervene(Intervention::Once(act)),
        )
    };
    let mut script: Vec<_> = (0..4)
        .map(|_| {
            let at_s = rng.i64(-150..300);
            let act = if rng.bool() {
                Act::StopSending
            } else {
                Act::ResumeSending
            };
            Scheduled::new(at_s, Intervention::Once(act))
        })
        .collect();
    // The last act of a trap may be a stop. Repeated resumes end it.
    let resumes = (1..20).map(|n| Scheduled::new(n * 400, Intervention::Once(Act::ResumeSending)));
    script.extend(resumes);
    Plan {
        traps: vec![trap(Act::StopSending), trap(Act::ResumeSending)],
        kills: Kills {
            at_points: 0.03,
            at_any_moment: 0.0,
            in_a_row: 2,
        },
        uncertain: UncertainLimit::InFlight,
        script,
        ..Plan::open_ended(rng)
    }
}
