//! A canary that fails pauses its schedule, and raises its alarm, whatever is killed meanwhile.

use super::canary::plan_of;
use crate::lab::fault::Fault;

pub const FAULT: Fault = Fault {
    name: "canary-failed",
    description: "As `canary`, with a carrier that delivers nothing: in each run the canary fails, \
                  and the rest waits until an operator resumes. The process that decides may be killed \
                  before it has emitted a metric.",
    plan: |rng| plan_of(rng, true),
};
