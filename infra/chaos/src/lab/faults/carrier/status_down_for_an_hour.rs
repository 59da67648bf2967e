//! A status that cannot be asked for is asked for later.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Condition, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "status-down-for-an-hour",
    description: "Every status query fails for an hour.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let fails = Condition::CarrierSettings(|carrier| carrier.status_error = 1.0);
    Plan {
        script: vec![Scheduled::interval(-5, 3_600, fails)],
        ..Plan::calm(rng)
    }
}
