//! A request that the carrier throttles is repeated and uses up no attempt.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{OUTAGE_BUDGET, with_carrier},
    plan::Plan,
};

pub const FAULT: Fault = Fault {
    name: "carrier-429",
    description: "The carrier answers many requests with 429, with and without Retry-After.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let retry_after_s = [None, None, Some(1), Some(rng.u32(6..120))][rng.usize(..4)];
    let share = rng.f64() * 0.7 + 0.2;
    let plan = with_carrier(Plan::calm(rng), |carrier| {
        (carrier.busy_429, carrier.retry_after_s) = (share, retry_after_s);
    });
    Plan {
        budget: OUTAGE_BUDGET,
        max_lateness_s: 86_400,
        rate: None,
        ..plan
    }
}
