//! A pause loses nothing.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{ALL_POINTS, call_when_reached},
    plan::{ApiCall, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "pause-resume-races",
    description: "An operator pauses and resumes the schedule at random points of its processing.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let traps = vec![
        call_when_reached(ALL_POINTS, 0.08, 4, ApiCall::Pause),
        call_when_reached(ALL_POINTS, 0.08, 4, ApiCall::Resume),
    ];
    let mut script: Vec<_> = (0..4)
        .map(|_| {
            let at_s = rng.i64(-150..300);
            let call = if rng.bool() {
                ApiCall::Pause
            } else {
                ApiCall::Resume
            };
            Scheduled::call(at_s, call)
        })
        .collect();
    // The last call of a trap may be a pause. Repeated calls resume the schedule after it.
    script.extend((1..20).map(|n| Scheduled::call(n * 400, ApiCall::Resume)));
    Plan {
        traps,
        script,
        ..Plan::calm(rng)
    }
}
