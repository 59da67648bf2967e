//! A message that was handled before must have no effect.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Plan, QueueFaults},
};

pub const FAULT: Fault = Fault {
    name: "delivered-thrice",
    description: "Every message is delivered two or three times, some of them late and out of \
                  order.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let queues = QueueFaults {
        copied: 1.0,
        late: 0.3,
        ..QueueFaults::default()
    };
    Plan {
        queues,
        ..Plan::calm(rng)
    }
}
