//! An old status must not replace a newer one.

use fastrand::Rng;
use shared::platform::fault::Point;
use simulator::Settings;

use crate::lab::{
    fault::Fault,
    faults::common::FREEZE_BUDGET,
    plan::{Effect, Plan, Trap},
};

pub const FAULT: Fault = Fault {
    name: "stale-recheck",
    description: "A recheck is frozen with the answer ENROUTE until another one has recorded \
                  DELIVRD.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let freeze = Effect::Freeze {
        until: Point::Released,
        extra_s: [0, 30, 7_200][rng.usize(..3)],
    };
    let traps = vec![Trap::new(&[Point::Asked], 0.5, 3, freeze)];
    let calm = Plan::calm(rng);
    let carrier = Settings {
        delivery_delay_ms_min: 30,
        delivery_delay_ms_max: 120,
        ..calm.carrier.clone()
    };
    Plan {
        budget: FREEZE_BUDGET,
        traps,
        carrier,
        ..calm
    }
}
