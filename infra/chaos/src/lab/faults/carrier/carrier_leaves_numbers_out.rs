//! A number that is missing in the answer is UNCERTAIN.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "carrier-leaves-numbers-out",
    description: "Half of the carrier's answers leave out some numbers.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    with_carrier(Plan::open_ended(rng), |carrier| carrier.partial = 0.5)
}
