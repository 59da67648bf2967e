//! A caller begins to send more than it may.

use fastrand::Rng;

use crate::lab::{fault::Fault, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "velocity-exceeded",
    description: "A caller without a history begins to send more than any caller may within an hour; \
                  nothing is refused.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    Plan {
        velocity: rng.u32(1..=10),
        ..Plan::calm(rng)
    }
}
