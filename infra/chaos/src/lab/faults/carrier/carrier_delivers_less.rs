//! A carrier that accepts as before, but delivers less, is noticed in the course of a schedule.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Condition, Plan, Scheduled, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "carrier-delivers-less",
    description: "From the middle of a list the carrier delivers one message in five; what is not \
                  delivered is not sent again.",
    plan,
};

/// Messages per second.
const RATE: u32 = 240;
/// Large enough to say something about the carrier.
const BATCH_SIZE: u32 = 120;

fn plan(rng: &mut Rng) -> Plan {
    let less = Condition::CarrierSettings(|carrier| carrier.undeliv = 0.8);
    Plan {
        // Six batches before, and six during the condition.
        recipients: 12 * BATCH_SIZE,
        batch_size: BATCH_SIZE,
        request_size: 60,
        rate: Some(RATE),
        max_attempts: 1,
        ahead_s: Some(150),
        script: vec![Scheduled::interval(3, 600, less)],
        uncertain: UncertainLimit::Zero,
        ..Plan::open_ended(rng)
    }
}
