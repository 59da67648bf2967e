//! An event for a schedule that must not be dispatched has no effect.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{ApiCall, Plan, Scheduled, SchedulerFaults},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-for-the-wrong-state",
    description: "The one-time schedule fires repeatedly while the schedule is paused, cancelled \
                  or running, and after its deletion.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let again_s = (0..8).map(|_| rng.u32(0..900)).collect();
    let events = SchedulerFaults {
        again_s,
        ignore_deletion: true,
        ..SchedulerFaults::default()
    };
    let (begin_s, pause_s) = (rng.i64(-200..0), rng.i64(0..400));
    let paused = Scheduled::call(begin_s, ApiCall::Pause);
    let after_pause = |call| Scheduled::call(begin_s + pause_s, call);
    let script = match rng.u32(0..3) {
        0 => vec![paused, after_pause(ApiCall::Resume)],
        1 => vec![paused, after_pause(ApiCall::Cancel)],
        _ => vec![Scheduled::call(begin_s, ApiCall::Cancel)],
    };
    Plan {
        events,
        script,
        ..Plan::open_ended(rng)
    }
}
