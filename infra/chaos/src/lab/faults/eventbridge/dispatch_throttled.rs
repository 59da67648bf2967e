//! What was due while dispatch could not run is sent when it runs again.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::without_dispatch, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "dispatch-throttled",
    description: "Dispatch is throttled from before the cut until ten minutes or more after the \
                  schedule's time: no sweep runs, and no event arrives.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let end_s = rng.i64(600..900);
    without_dispatch(Plan::calm(rng), end_s)
}
