//! A rate is kept, also after a pause.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{ApiCall, Expectation, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "drip-paused",
    description: "A schedule with a rate is paused and resumed; no second has more than two \
                  seconds' worth, and there is no gap but the pause.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let rate = rng.u32(10..=20);
    let (paused_s, resumed_s) = (4, 4 + rng.i64(5..60));
    Plan {
        recipients: rate * 12,
        batch_size: 100,
        request_size: 20,
        rate: Some(rate),
        environments: 4,
        script: vec![
            Scheduled::call(paused_s, ApiCall::Pause),
            Scheduled::call(resumed_s, ApiCall::Resume),
        ],
        expectations: vec![Expectation::KeepsRate {
            per_second: rate,
            // A message of the lab's queues may arrive 2.2 s late. After a resume two follow each
            // other.
            longest_gap_ms: 4_000,
            pause_s: [paused_s, resumed_s + 4],
        }],
        ..Plan::calm(rng)
    }
}
