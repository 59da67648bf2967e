//! A batch that was claimed three times without a release is parked until an operator retries it.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    plan::{ApiCall, Effect, Kills, Plan, Scheduled, Trap, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "killed-three-times",
    description: "Three owners of a batch are killed one after the other; the batch is parked \
                  until an operator retries it.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let points = &[
        Point::Claimed,
        Point::Marked,
        Point::InFlight,
        Point::Answered,
        Point::Recorded,
    ];
    let kill = Trap {
        batch: Some(1),
        ..Trap::new(points, 0.6, 3, Effect::Kill)
    };
    let kills = Kills {
        in_a_row: 3,
        ..Kills::default()
    };
    Plan {
        kills,
        script: vec![Scheduled::call(3_000, ApiCall::Retry)],
        traps: vec![kill],
        uncertain: UncertainLimit::InFlight,
        ..Plan::open_ended(rng)
    }
}
