//! A recheck that is killed is repeated.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    plan::{Effect, Kills, Plan, Trap, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "recheck-killed",
    description: "The first recheck is killed after the carrier's answers, before they are recorded.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let kills = Kills {
        in_a_row: 1,
        ..Kills::default()
    };
    Plan {
        kills,
        traps: vec![Trap::new(&[Point::Asked], 1.0, 1, Effect::Kill)],
        uncertain: UncertainLimit::Zero,
        ..Plan::calm(rng)
    }
}
