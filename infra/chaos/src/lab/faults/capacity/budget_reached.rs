//! A budget that is used up in the middle of a list holds while workers are killed.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Act, ApiCall, Expectation, Intervention, Kills, Plan, Scheduled, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "budget-reached",
    description: "A budget is used up in the middle of a list, while environments are killed; a resume \
                  without room pauses the schedule again, and one after the budget was raised sends the \
                  rest.",
    plan,
};

/// More than any list.
const ENOUGH: u64 = 1_000_000;

fn plan(rng: &mut Rng) -> Plan {
    let parts = rng.u64(3..=18);
    let raised_s = rng.i64(1_200..2_400);
    let budget = |at_s, parts| Scheduled::new(at_s, Intervention::Once(Act::SetBudget(parts)));
    let mut script = vec![
        budget(-5, parts),
        Scheduled::call(rng.i64(60..1_100), ApiCall::Resume),
        budget(raised_s, ENOUGH),
    ];
    // A pass that found nothing left may pause the schedule after it was resumed.
    script.extend((0..10).map(|n| Scheduled::call(raised_s + 5 + n * 400, ApiCall::Resume)));
    Plan {
        kills: Kills {
            at_points: 0.05,
            at_any_moment: 0.0,
            in_a_row: 2,
        },
        rate: None,
        max_lateness_s: 7_200,
        uncertain: UncertainLimit::InFlight,
        script,
        expectations: vec![Expectation::AtMost {
            messages: parts as usize,
            until_s: raised_s,
        }],
        ..Plan::open_ended(rng)
    }
}
