//! A canary that fails pauses its schedule, and raises its alarm.

use crate::lab::fault::Fault;

use super::canary::plan_of;

pub const FAULT: Fault = Fault {
    name: "canary-failed",
    description: "As `canary`, with a carrier that delivers nothing: in each run the canary fails, \
                  and the rest waits until an operator resumes.",
    plan: |rng| plan_of(rng, true),
};
