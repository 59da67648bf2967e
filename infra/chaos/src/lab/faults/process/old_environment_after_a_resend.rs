//! With `on_uncertain: resend` the text is sent twice, and both acceptances are accounted for.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    faults::common::FREEZE_BUDGET,
    plan::{Effect, Plan, Trap, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "old-environment-after-a-resend",
    description: "An environment is frozen after the carrier's answer until its messages, then \
                  uncertain, were sent again by policy.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let freeze = Effect::Freeze {
        until: Point::Released,
        extra_s: rng.u32(400..1_800),
    };
    let traps = vec![Trap::new(&[Point::Answered], 0.7, 2, freeze)];
    let plan = Plan::open_ended(rng);
    Plan {
        budget: FREEZE_BUDGET,
        traps,
        // One request per batch: a second one would time out while the first is frozen.
        batch_size: plan.request_size as u32,
        resends_uncertain: true,
        uncertain: UncertainLimit::Zero,
        ..plan
    }
}
