//! An outage of the carrier delays messages and uses up no attempt.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier_outage, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "carrier-down-for-40-minutes",
    description: "The carrier refuses all connections for forty minutes.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let plan = Plan {
        batch_size: rng.u32(20..=30),
        rate: None,
        ..Plan::calm(rng)
    };
    with_carrier_outage(plan, -10, 2_400)
}
