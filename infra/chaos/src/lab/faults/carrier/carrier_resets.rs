//! A request whose connection is reset leaves its messages UNCERTAIN.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "carrier-resets",
    description: "The carrier accepts a third of the requests and resets their connections.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    with_carrier(Plan::open_ended(rng), |carrier| {
        carrier.reset_after_accept = 0.35;
    })
}
