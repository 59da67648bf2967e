//! An answer that cannot be read leaves its messages UNCERTAIN.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "carrier-nonsense",
    description: "The carrier accepts requests and answers them with {}, [] or a web page.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    with_carrier(Plan::open_ended(rng), |carrier| {
        (carrier.empty_object, carrier.empty_array, carrier.html) = (0.15, 0.15, 0.15);
    })
}
