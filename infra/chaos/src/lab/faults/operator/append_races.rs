//! A recipient that the API accepted is in a batch.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{CUT_POINTS, call_when_reached},
    plan::{ApiCall, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "append-races",
    description: "An operator appends recipients while the schedule is cut.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let append = ApiCall::Append(rng.u32(1..20));
    let traps = vec![call_when_reached(CUT_POINTS, 1.0, 2, append)];
    let script = (0..8)
        .map(|_| Scheduled::call(rng.i64(-95..-60), ApiCall::Append(rng.u32(1..20))))
        .collect();
    Plan {
        traps,
        script,
        ..Plan::calm(rng)
    }
}
