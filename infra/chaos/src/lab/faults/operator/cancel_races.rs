//! After a cancellation no request may begin.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{ALL_POINTS, call_when_reached},
    plan::{ApiCall, Plan, Scheduled, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "cancel-races",
    description: "An operator cancels the schedule at a random point of its processing.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let traps = vec![call_when_reached(ALL_POINTS, 0.1, 2, ApiCall::Cancel)];
    let script = vec![Scheduled::call(rng.i64(-100..60), ApiCall::Cancel)];
    let script = if rng.bool() { script } else { Vec::new() };
    Plan {
        traps,
        script,
        uncertain: UncertainLimit::Zero,
        ..Plan::open_ended(rng)
    }
}
