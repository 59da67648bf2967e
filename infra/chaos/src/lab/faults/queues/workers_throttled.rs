//! Messages wait while Lambda throttles the functions, and are handled afterwards.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    function::Function,
    plan::{Condition, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "workers-throttled",
    description: "Send, recheck and notify are throttled one after the other, each for half an hour.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let throttles =
        |from_s, to_s, function| Scheduled::interval(from_s, to_s, Condition::Throttles(function));
    let [send_s, recheck_s, notify_s] = [1_900, 3_900, 5_900].map(|end_s| end_s + rng.i64(0..100));
    Plan {
        rate: None,
        ahead_s: Some(150),
        webhook_events: &["schedule.finished", "messages.final"],
        script: vec![
            throttles(-30, send_s, Function::Send),
            throttles(-30, recheck_s, Function::Recheck),
            throttles(-30, notify_s, Function::Notify),
        ],
        max_lateness_s: 86_400,
        ..Plan::calm(rng)
    }
}
