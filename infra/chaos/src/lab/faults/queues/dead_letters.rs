//! A dead letter loses nothing: the sweep enqueues its batch.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Plan, QueueFaults},
};

pub const FAULT: Fault = Fault {
    name: "dead-letters",
    description: "Every message fails for up to an hour and becomes a dead letter.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let queues = QueueFaults {
        failed: 1.0,
        failed_until_s: rng.i64(2_400..3_600),
        ..QueueFaults::default()
    };
    Plan {
        rate: None,
        queues,
        max_lateness_s: 86_400,
        ..Plan::calm(rng)
    }
}
