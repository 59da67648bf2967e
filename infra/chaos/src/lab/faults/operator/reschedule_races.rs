//! A change of time either happens before the cut or is refused.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{CUT_POINTS, call_when_reached},
    plan::{ApiCall, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "reschedule-races",
    description: "An operator changes the schedule's time while it is cut.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let reschedule = ApiCall::Reschedule(rng.i64(10..1_000));
    let traps = vec![call_when_reached(CUT_POINTS, 0.5, 1, reschedule)];
    let script = (0..5)
        .map(|_| {
            let at_s = rng.i64(-200..100);
            Scheduled::call(at_s, ApiCall::Reschedule(rng.i64(10..1_000)))
        })
        .collect();
    Plan {
        traps,
        script,
        ..Plan::calm(rng)
    }
}
