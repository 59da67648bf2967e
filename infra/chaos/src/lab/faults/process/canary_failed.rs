//! A canary that fails pauses its schedule, and raises its alarm.

use super::canary::plan_of;
use crate::lab::{
    fault::Fault,
    plan::{Kills, Plan},
};

pub const FAULT: Fault = Fault {
    name: "canary-failed",
    description: "As `canary`, with a carrier that delivers nothing, and without crashes: in each \
                  run the canary fails, and the rest waits until an operator resumes.",
    plan: |rng| Plan {
        traps: Vec::new(),
        kills: Kills::default(),
        ..plan_of(rng, true)
    },
};
