//! If the carrier accepts the client's ids, the status of every message can be asked for.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{with_carrier, with_own_ids},
    plan::Plan,
};

pub const FAULT: Fault = Fault {
    name: "own-ids-lost-answers",
    description: "Answers are lost while the carrier accepts the client's ids; no recipient may \
                  stay UNCERTAIN.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    with_carrier(with_own_ids(rng), |carrier| {
        carrier.reset_after_accept = 0.1;
        carrier.error_5xx_after_accept = 0.05;
        carrier.error_5xx_before = 0.1;
        carrier.hang_after_accept = 0.02;
    })
}
