//! Each of several messages to one number is sent once, whatever ends in between.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::with_carrier,
    plan::{Kills, Plan, QueueFaults},
};

pub const FAULT: Fault = Fault {
    name: "copies-killed",
    description: "A list has two to four recipients for each number; environments are killed at \
                  random points and moments, queue messages are delivered twice, and the carrier \
                  leaves some requests without an answer.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let kills = Kills {
        at_points: 0.1,
        at_any_moment: 0.08,
        in_a_row: 2,
    };
    let queues = QueueFaults {
        copied: 0.2,
        copies_at_once: rng.bool(),
        ..QueueFaults::default()
    };
    let copies = rng.u32(2..=4);
    let plan = Plan {
        // One message per recipient, so that the ledger is compared number by number.
        max_attempts: 1,
        batch_size: rng.u32(4..=15),
        copies,
        kills,
        queues,
        ..Plan::open_ended(rng)
    };
    with_carrier(plan, |carrier| {
        carrier.hang_after_accept = 0.05;
        carrier.reset_after_accept = 0.1;
        carrier.partial = 0.05;
    })
}
