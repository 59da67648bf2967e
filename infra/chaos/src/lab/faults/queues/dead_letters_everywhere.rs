//! The sweep is the second copy of each message, so that the dead letters of all queues lose nothing.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    function::Function,
    plan::{Condition, OtherSchedule, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "dead-letters-everywhere",
    description: "The messages and one-time events of dispatch, then all rechecks, then all deliveries \
                  fail for more than half an hour and become dead letters.",
    plan,
};

/// Too soon for a one-time schedule, so that dispatch gets a message.
const AHEAD_S: u32 = 60;
/// Before the first message.
const BEFORE_S: i64 = -90;

fn plan(rng: &mut Rng) -> Plan {
    let fails =
        |function, to_s| Scheduled::interval(BEFORE_S, to_s, Condition::WithoutDatabase(function));
    // With an event.
    let other = OtherSchedule {
        after_s: 150,
        recipients: 5,
    };
    Plan {
        recipients: 5,
        rate: None,
        ahead_s: Some(AHEAD_S),
        others: vec![other],
        // Each sweep enqueues again what is due, which takes real time.
        webhook_events: &["schedule.finished"],
        sweeps_skipped: 0.7,
        script: vec![
            fails(Function::Dispatch, rng.i64(2_200..2_400)),
            fails(Function::Recheck, rng.i64(2_400..2_600)),
            fails(Function::Notify, rng.i64(5_000..5_400)),
        ],
        max_lateness_s: 86_400,
        ..Plan::calm(rng)
    }
}
