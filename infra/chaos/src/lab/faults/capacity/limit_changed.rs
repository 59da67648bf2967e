//! A limit that an operator changes holds from then on.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{MOST_THROTTLED, parts_limit, under_limit},
    plan::{ApiCall, Condition, Expectation, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "limit-changed",
    description: "The carrier's limit falls to a third in the middle of a list and rises again; \
                  an operator changes the configured limit each time.",
    plan,
};

/// Message parts per second.
const LIMIT: u32 = 90;
const LOWER: u32 = 30;

fn plan(rng: &mut Rng) -> Plan {
    let plan = Plan {
        recipients: rng.u32(300..=360),
        ..Plan::calm(rng)
    };
    // The carrier counts what it took in the last second, so the operator is earlier.
    let script = vec![
        Scheduled::call(1, ApiCall::SetLimit(LOWER)),
        Scheduled::interval(
            3,
            6,
            Condition::CarrierSettings(|carrier| parts_limit(carrier, LOWER)),
        ),
        Scheduled::call(7, ApiCall::SetLimit(LIMIT)),
    ];
    Plan {
        script,
        expectations: vec![Expectation::ThrottledAtMost {
            most: MOST_THROTTLED,
        }],
        ..under_limit(plan, LIMIT)
    }
}
