//! After a 503 it is unknown whether the carrier accepted the messages.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "carrier-503",
    description: "The carrier answers many requests with 503, whether it accepted them or not.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    with_carrier(Plan::open_ended(rng), |carrier| {
        (carrier.error_5xx_before, carrier.error_5xx_after_accept) = (0.2, 0.2);
    })
}
