//! An answer and the time-out may come at nearly the same moment.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "carrier-slow",
    description: "The carrier's answers arrive about when the time-out expires.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let before_acceptance = rng.bool();
    with_carrier(Plan::open_ended(rng), |carrier| {
        let delay_ms = if before_acceptance {
            &mut carrier.slow_ms
        } else {
            &mut carrier.latency_ms
        };
        *delay_ms = 170;
        carrier.latency_jitter_ms = 120;
    })
}
