//! What an outage has delayed is late; what waits for its turn is not.

use std::time::Duration;

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{under_limit, with_carrier_outage},
    plan::{ApiCall, Expectation, OtherSchedule, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "outage-in-a-backlog",
    description: "The carrier is down for two hours in the middle of a backlog; what the outage has \
                  delayed is held until an operator sends it, and what only waited for its turn is \
                  sent.",
    plan,
};

/// Message parts per second.
const LIMIT: u32 = 8;
const OUTAGE_S: i64 = 7_200;

fn plan(rng: &mut Rng) -> Plan {
    let (from_s, to_s) = (4, 4 + OUTAGE_S);
    let send_now_s = to_s + rng.i64(900..1_800);
    let plan = Plan {
        // Without the outage, the last message is sent 9 s after its time.
        recipients: 9 * LIMIT,
        // Its own time is after the outage, and it waits longer than it may be late.
        others: vec![OtherSchedule {
            after_s: to_s + 400,
            recipients: 9 * LIMIT,
        }],
        ..Plan::calm(rng)
    };
    let mut plan = with_carrier_outage(under_limit(plan, LIMIT), from_s, to_s);
    // A batch is held when its back-off ends.
    plan.script
        .extend((0..12).map(|n| Scheduled::call(send_now_s + 600 * n, ApiCall::SendNow)));
    Plan {
        max_lateness_s: 5,
        budget: Duration::from_millis(2_000),
        expectations: vec![
            Expectation::Silent {
                schedule: 0,
                from_s: from_s + 1,
                to_s: send_now_s,
            },
            Expectation::SentBy {
                schedule: 1,
                by_s: send_now_s,
            },
        ],
        ..plan
    }
}
