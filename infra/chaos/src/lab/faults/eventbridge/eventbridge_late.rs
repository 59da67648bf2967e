//! The sweep dispatches a schedule whose one-time schedule is late.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::with_events,
    plan::{Plan, SchedulerFaults},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-late",
    description: "The one-time schedule fires up to two hours late.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let events = SchedulerFaults {
        late_s: 7_200,
        ..SchedulerFaults::default()
    };
    with_events(rng, events)
}
