//! While all sending is stopped, nothing is sent; afterwards everything is.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::under_limit,
    plan::{Act, Expectation, Intervention, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "sending-stopped",
    description: "An operator stops all sending in the middle of a list, and resumes it some minutes \
                  later; meanwhile queue messages are delivered twice, and sweeps are skipped.",
    plan,
};

/// Message parts per second: the list takes ten seconds.
const LIMIT: u32 = 60;
/// When sending is stopped.
const STOPPED_S: i64 = 2;
/// The batches that were claimed before are sent within this time.
const SILENT_FROM_S: i64 = 9;

fn plan(rng: &mut Rng) -> Plan {
    let resumed_s = rng.i64(60..600);
    let plan = Plan {
        recipients: rng.u32(600..=660),
        ..Plan::calm(rng)
    };
    let mut plan = under_limit(plan, LIMIT);
    plan.queues.copied = 0.3;
    Plan {
        sweeps_skipped: 0.3,
        max_lateness_s: 7_200,
        script: vec![
            Scheduled::new(STOPPED_S, Intervention::Once(Act::StopSending)),
            Scheduled::new(resumed_s, Intervention::Once(Act::ResumeSending)),
        ],
        expectations: vec![Expectation::Silent {
            schedule: 0,
            from_s: SILENT_FROM_S,
            to_s: resumed_s,
        }],
        ..plan
    }
}
