//! What was not sent by the end of a schedule is never sent.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::under_limit,
    plan::{Expectation, Plan, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "send-until",
    description: "The end of a schedule comes in the middle of its list; what was not sent ends \
                  EXPIRED, and nothing is sent after it.",
    plan,
};

/// Message parts per second.
const LIMIT: u32 = 20;

fn plan(rng: &mut Rng) -> Plan {
    let send_within_s = rng.u32(5..=8);
    let plan = Plan {
        recipients: 2 * LIMIT * send_within_s,
        send_within_s: Some(send_within_s),
        expectations: vec![Expectation::EndsAt {
            at_s: send_within_s.into(),
        }],
        all_delivered: false,
        uncertain: UncertainLimit::Zero,
        ..Plan::calm(rng)
    };
    under_limit(plan, LIMIT)
}
