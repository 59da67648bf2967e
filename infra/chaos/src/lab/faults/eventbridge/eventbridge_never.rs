//! The sweep dispatches a schedule whose one-time schedule does not fire.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::with_events,
    plan::{Plan, SchedulerFaults},
};

pub const FAULT: Fault = Fault {
    name: "eventbridge-never",
    description: "The one-time schedule never fires.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let events = SchedulerFaults {
        never: true,
        ..SchedulerFaults::default()
    };
    with_events(rng, events)
}
