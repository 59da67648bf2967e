//! The queues are only a fast path: the sweep enqueues what they lose.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Act, Intervention, Plan, QueueFaults, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "queues-purged",
    description: "All queues are purged six times, three in ten messages are lost, and some \
                  sweeps do not run.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let purge = Intervention::Once(Act::PurgeQueues);
    let script = (0..6)
        .map(|_| Scheduled::new(rng.i64(-90..900), purge))
        .collect();
    let queues = QueueFaults {
        lost: 0.3,
        ..QueueFaults::default()
    };
    Plan {
        queues,
        script,
        sweeps_skipped: if rng.bool() { 0.3 } else { 0.0 },
        ..Plan::calm(rng)
    }
}
