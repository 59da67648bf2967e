//! If the carrier accepts the client's ids, the status of every message can be asked for.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::with_own_ids,
    plan::{Kills, Plan},
};

pub const FAULT: Fault = Fault {
    name: "own-ids-killed-in-flight",
    description: "Environments are killed while the carrier accepts the client's ids; no \
                  recipient may stay UNCERTAIN.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let kills = Kills {
        at_points: 0.04,
        at_any_moment: 0.15,
        in_a_row: 2,
    };
    Plan {
        kills,
        ..with_own_ids(rng)
    }
}
