//! Deadlocks and lock-wait time-outs are retried.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{DATABASE_BUDGET, DATABASE_POINTS},
    plan::{Act, Effect, Intervention, Plan, Trap},
};

pub const FAULT: Fault = Fault {
    name: "database-locks",
    description: "Another client holds locks on the rows, which causes deadlocks and lock-wait \
                  time-outs.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let real_ms = if rng.u32(0..4) == 0 { 1_200 } else { 60 };
    let lock = Effect::Intervene(Intervention::Once(Act::LockRows { real_ms }));
    Plan {
        traps: vec![Trap::new(DATABASE_POINTS, 0.2, 4, lock)],
        budget: DATABASE_BUDGET * 4,
        ..Plan::calm(rng)
    }
}
