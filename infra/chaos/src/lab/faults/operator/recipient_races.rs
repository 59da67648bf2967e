//! What is answered as in time is never sent to, or only with the new number.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{ALL_POINTS, call_when_reached},
    plan::{ApiCall, Plan, Scheduled, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "recipient-races",
    description: "An operator cancels some recipients and changes the numbers of others, before the cut and at random points of the processing.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let traps = vec![
        call_when_reached(ALL_POINTS, 0.15, 6, ApiCall::CancelRecipients),
        call_when_reached(ALL_POINTS, 0.15, 6, ApiCall::ChangeNumbers),
    ];
    let mut early = |call| Scheduled::call(rng.i64(-100..20), call);
    let script = vec![
        early(ApiCall::CancelRecipients),
        early(ApiCall::ChangeNumbers),
        early(ApiCall::CancelRecipients),
    ];
    Plan {
        traps,
        script,
        uncertain: UncertainLimit::Zero,
        ..Plan::open_ended(rng)
    }
}
