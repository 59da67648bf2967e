//! A lost connection to the database delays messages and loses none.

use fastrand::Rng;

use crate::{
    lab::{
        fault::Fault,
        faults::common::{DATABASE_BUDGET, DATABASE_POINTS},
        plan::{Act, Condition, Effect, Intervention, Plan, Scheduled, Trap},
    },
    server::Server,
};

pub const FAULT: Fault = Fault {
    name: "database-cut",
    description: "Connections to the database are reset at random points; in some runs it also \
                  refuses connections for minutes.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let cut = Intervention::Once(Act::CutDatabaseConnections);
    let mut traps = vec![Trap::new(DATABASE_POINTS, 0.15, 5, Effect::Intervene(cut))];
    let mut script = vec![Scheduled::new(rng.i64(-80..60), cut)];
    if rng.u32(0..3) == 0 {
        // It may begin after an answer, which then cannot be recorded.
        let outage = Intervention::During {
            condition: Condition::Refuses(Server::Database),
            for_s: rng.u32(10..=200),
        };
        let outage = Effect::Intervene(outage);
        traps.push(Trap::new(DATABASE_POINTS, 0.2, 2, outage));
        script.extend((1..20).map(|n| Scheduled::new(n * 100, cut)));
    }
    Plan {
        traps,
        script,
        budget: DATABASE_BUDGET,
        ..Plan::open_ended(rng)
    }
}
