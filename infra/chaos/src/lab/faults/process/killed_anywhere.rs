//! Only what was in flight in a killed environment may be UNCERTAIN.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Kills, Plan, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "killed-anywhere",
    description: "Environments of all functions are killed at random points and moments, at most \
                  twice in a row per batch.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let kills = Kills {
        at_points: 0.15,
        at_any_moment: 0.1,
        in_a_row: 2,
    };
    Plan {
        kills,
        uncertain: UncertainLimit::InFlight,
        ..Plan::open_ended(rng)
    }
}
