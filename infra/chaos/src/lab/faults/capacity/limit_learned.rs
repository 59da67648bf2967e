//! A limit that nobody has configured is learned from the carrier's refusals.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::under_limit,
    plan::{Expectation, Plan},
};

pub const FAULT: Fault = Fault {
    name: "limit-learned",
    description: "The carrier answers 429 beyond a limit that nobody has configured.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let limit = rng.u32(60..=100);
    let plan = Plan {
        recipients: limit * 6,
        ..Plan::calm(rng)
    };
    Plan {
        parts_per_second: None,
        expectations: vec![Expectation::Throttled { most: 0.2 }],
        ..under_limit(plan, limit)
    }
}
