//! Only one of several environments may own a batch.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Plan, QueueFaults},
};

pub const FAULT: Fault = Fault {
    name: "two-at-once",
    description: "Every message is delivered to two or three environments at the same moment.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let queues = QueueFaults {
        copied: 1.0,
        copies_at_once: true,
        ..QueueFaults::default()
    };
    Plan {
        queues,
        environments: 4,
        ..Plan::calm(rng)
    }
}
