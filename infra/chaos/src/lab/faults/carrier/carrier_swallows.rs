//! A request without an answer leaves its messages UNCERTAIN.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "carrier-swallows",
    description: "The carrier accepts a quarter of the requests and never answers them.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    with_carrier(Plan::open_ended(rng), |carrier| {
        carrier.hang_after_accept = 0.25;
    })
}
