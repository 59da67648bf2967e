//! The sweep enqueues what a queue refused.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Plan, QueueFaults},
};

pub const FAULT: Fault = Fault {
    name: "sqs-refuses",
    description: "SQS refuses three in ten entries.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    Plan {
        queues: QueueFaults {
            refused: 0.3,
            ..QueueFaults::default()
        },
        ..Plan::calm(rng)
    }
}
