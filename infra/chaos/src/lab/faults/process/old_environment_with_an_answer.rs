//! The answer of an environment that lost its batch still counts.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    faults::common::FREEZE_BUDGET,
    plan::{Effect, Plan, Trap},
};

pub const FAULT: Fault = Fault {
    name: "old-environment-with-an-answer",
    description: "An environment is frozen after the carrier's answer until another one has \
                  released the batch; the answer must count.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let freeze = Effect::Freeze {
        until: Point::Released,
        extra_s: [0, 30, 7_200][rng.usize(..3)],
    };
    let traps = vec![Trap::new(&[Point::Answered], 0.7, 2, freeze)];
    Plan {
        budget: FREEZE_BUDGET,
        traps,
        ..Plan::calm(rng)
    }
}
