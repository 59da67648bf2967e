//! An answer that arrives while the database stalls is recorded, whatever the carrier's time-out.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    faults::common::{DATABASE_BUDGET, SHORT_TIMEOUT},
    plan::{Act, Effect, Intervention, Plan, Trap},
};

pub const FAULT: Fault = Fault {
    name: "database-stalls",
    description: "Another client holds locks on all batches for longer than the carrier's time-out \
                  while requests are in flight; each answer is recorded.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let mut plan = Plan::calm(rng);
    // The answers of one pass arrive before, during and after the lock.
    plan.carrier.latency_ms = 5;
    plan.carrier.latency_jitter_ms = 150;
    let lock = Effect::Intervene(Intervention::Once(Act::LockRows { real_ms: 800 }));
    Plan {
        traps: vec![Trap::new(&[Point::InFlight], 0.5, 4, lock)],
        timeout: SHORT_TIMEOUT,
        budget: DATABASE_BUDGET * 4,
        ..plan
    }
}
