//! With `on_uncertain: resend` a second acceptance has a reason and is no duplicate.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "uncertain-resend",
    description: "Answers are lost, and the policy sends uncertain messages again.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let plan = with_carrier(Plan::open_ended(rng), |carrier| {
        (carrier.reset_after_accept, carrier.error_5xx_before) = (0.2, 0.2);
    });
    Plan {
        resends_uncertain: true,
        max_attempts: 5,
        ..plan
    }
}
