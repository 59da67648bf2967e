//! A batch that is too late is held until an operator sends it.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::with_carrier_outage,
    plan::{ApiCall, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "carrier-down-too-long",
    description: "The carrier refuses all connections for longer than the schedule may be late; \
                  an operator sends the held batches later.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let max_lateness_s = rng.u32(300..900);
    let end_s = i64::from(max_lateness_s) + rng.i64(200..600);
    let plan = Plan {
        rate: None,
        max_lateness_s,
        ..Plan::calm(rng)
    };
    let mut plan = with_carrier_outage(plan, -10, end_s);
    let send_now_s = end_s + rng.i64(10..3_600);
    plan.script
        .push(Scheduled::call(send_now_s, ApiCall::SendNow));
    plan
}
