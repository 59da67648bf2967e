//! A frozen environment that wakes up after it lost its batch must send nothing.

use fastrand::Rng;
use shared::platform::fault::Point;
use simulator::{Settings, UnknownId};

use crate::lab::{
    fault::Fault,
    faults::common::FREEZE_BUDGET,
    plan::{CarrierForm, Effect, Plan, Trap},
};

pub const FAULT: Fault = Fault {
    name: "old-environment-before-http",
    description: "An environment is frozen between mark and request until another one owns the \
                  batch; it must send nothing.",
    plan,
};

/// Half of the runs use the client's own ids. There the carrier reports that it has no such
/// message, another owner sends it again, and a late request of the frozen environment would be a
/// duplicate. Without own ids the other owner holds the message as UNCERTAIN.
fn plan(rng: &mut Rng) -> Plan {
    let until = [
        Point::Claimed,
        Point::Marked,
        Point::Recorded,
        Point::Released,
    ][rng.usize(..4)];
    let freeze = Effect::Freeze {
        until,
        extra_s: [0, 60, 600, 1_800][rng.usize(..4)],
    };
    let traps = vec![Trap::new(&[Point::Marked], 0.7, 2, freeze)];
    let calm = Plan::calm(rng);
    let form = if rng.bool() {
        CarrierForm::OwnIds
    } else {
        CarrierForm::Bare
    };
    let carrier = Settings {
        unknown_id: UnknownId::NotFound,
        ..calm.carrier.clone()
    };
    // If no other owner comes, it wakes up after two hours, which is still in time.
    Plan {
        budget: FREEZE_BUDGET,
        traps,
        form,
        carrier,
        max_lateness_s: 86_400,
        ..calm
    }
}
