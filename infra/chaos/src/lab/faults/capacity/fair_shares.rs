//! Schedules share the carrier, and a small one does not wait for a large one.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::under_limit,
    plan::{Expectation, OtherSchedule, Plan},
};

pub const FAULT: Fault = Fault {
    name: "fair-shares",
    description: "Two large schedules and twenty small ones share a carrier with a limit; each \
                  begins in time, and the two large ones get equal shares.",
    plan,
};

/// Message parts per second.
const LIMIT: u32 = 150;
const LARGE: u32 = 750;

fn plan(rng: &mut Rng) -> Plan {
    let mut others = vec![OtherSchedule {
        after_s: 0,
        recipients: LARGE,
    }];
    others.extend((0..20).map(|_| OtherSchedule {
        after_s: rng.i64(1..6),
        recipients: rng.u32(5..=10),
    }));
    let plan = Plan {
        recipients: LARGE,
        others,
        // A message of the lab's queues may arrive 2.2 s late. Such a time is a jump of the run's clock,
        // of which the carrier knows nothing, so its 429s are not counted here.
        expectations: vec![
            Expectation::FirstWithin { most_ms: 4_500 },
            Expectation::EqualShares {
                schedules: [0, 1],
                least: 0.8,
            },
        ],
        ..Plan::calm(rng)
    };
    // The first schedule that is cut is ahead by the batches that are admitted at once.
    Plan {
        environments: 20,
        batch_size: 10,
        ..under_limit(plan, LIMIT)
    }
}
