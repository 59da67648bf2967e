//! A schedule that is found too late is missed, until an operator sends it.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::without_dispatch,
    plan::{ApiCall, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "dispatch-throttled-too-long",
    description: "Dispatch is throttled for longer than the schedule may be late; an operator sends \
                  the missed schedule later.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let max_lateness_s = rng.u32(300..900);
    let end_s = i64::from(max_lateness_s).max(600) + rng.i64(60..300);
    let plan = Plan {
        rate: None,
        max_lateness_s,
        ..Plan::calm(rng)
    };
    let mut plan = without_dispatch(plan, end_s);
    let send_now_s = end_s + rng.i64(120..3_600);
    plan.script
        .push(Scheduled::call(send_now_s, ApiCall::SendNow));
    plan
}
