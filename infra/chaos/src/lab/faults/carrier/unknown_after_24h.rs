//! A message whose fate the carrier never reports is closed as UNKNOWN and never sent again.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::with_carrier,
    plan::{Plan, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "unknown-after-24h",
    description: "The carrier never reports more than UNKNOWN or ENROUTE for some messages; they \
                  are closed as UNKNOWN and never sent again.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let plan = with_carrier(Plan::open_ended(rng), |carrier| {
        (carrier.unknown, carrier.stuck) = (0.3, 0.1);
    });
    Plan {
        uncertain: UncertainLimit::Zero,
        ..plan
    }
}
