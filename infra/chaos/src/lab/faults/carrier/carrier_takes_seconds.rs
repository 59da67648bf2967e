//! A carrier that is slow, but answers in time, costs nothing but time.

use std::time::Duration;

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{OtherSchedule, Plan},
};

pub const FAULT: Fault = Fault {
    name: "carrier-takes-seconds",
    description: "The carrier answers each request after more than five seconds, within the time-out, \
                  in three minutes in a row.",
    plan,
};

/// The seconds between two schedules: each is sent in a minute of its own.
const APART_S: i64 = 70;

fn plan(rng: &mut Rng) -> Plan {
    let recipients = rng.u32(2..=10);
    let mut plan = Plan::calm(rng);
    plan.carrier.latency_ms = 5_100;
    let other = |place: i64| OtherSchedule {
        after_s: place * APART_S,
        recipients,
    };
    Plan {
        recipients,
        // One request for each of them.
        batch_size: 10,
        request_size: 10,
        rate: None,
        timeout: Duration::from_secs(9),
        others: vec![other(1), other(2)],
        ..plan
    }
}
