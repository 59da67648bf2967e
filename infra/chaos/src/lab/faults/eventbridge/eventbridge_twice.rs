//! Only the first event cuts the schedule.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::with_events,
    plan::{Plan, SchedulerFaults},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-twice",
    description: "The one-time schedule fires four times.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let events = SchedulerFaults {
        again_s: vec![0, rng.u32(0..5), rng.u32(0..600)],
        ..SchedulerFaults::default()
    };
    with_events(rng, events)
}
