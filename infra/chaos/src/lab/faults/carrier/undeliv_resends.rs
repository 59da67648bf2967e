//! A message that failed is sent again until its attempts are used up.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::with_carrier,
    plan::{Plan, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "undeliv-resends",
    description: "Four in ten messages end UNDELIV or EXPIRED and are sent again.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let plan = with_carrier(Plan::open_ended(rng), |carrier| {
        (carrier.undeliv, carrier.expired) = (0.3, 0.1);
    });
    Plan {
        max_attempts: rng.u32(1..=5),
        uncertain: UncertainLimit::Zero,
        ..plan
    }
}
