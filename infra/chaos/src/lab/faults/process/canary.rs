//! A canary decides once, and nothing behind it is sent before that.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    plan::{ApiCall, Effect, Expectation, Kills, Plan, Scheduled, Trap, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "canary",
    description: "A schedule has a canary, which passes or fails; environments are killed before, \
                  during and after the decision, messages are delivered twice, and sweeps are \
                  skipped. Nothing behind a canary that fails is sent until an operator resumes.",
    plan,
};

/// When an operator resumes a schedule whose canary has failed, first.
const RESUMED_S: i64 = 3_600;

const POINTS: &[Point] = &[
    Point::Claimed,
    Point::Asked,
    Point::Recorded,
    Point::Released,
    Point::Decided,
];

fn plan(rng: &mut Rng) -> Plan {
    let fails = rng.bool();
    plan_of(rng, fails)
}

/// Returns a plan whose canary fails or passes.
pub fn plan_of(rng: &mut Rng, fails: bool) -> Plan {
    let recipients = rng.u32(4..=12);
    let mut plan = Plan {
        canary: Some(recipients),
        max_attempts: 1,
        max_lateness_s: 86_400,
        rate: None,
        traps: vec![Trap::new(POINTS, 0.3, 4, Effect::Kill)],
        kills: Kills {
            at_any_moment: 0.05,
            in_a_row: 2,
            ..Kills::default()
        },
        sweeps_skipped: 0.3,
        script: (0..10)
            .map(|n| Scheduled::call(RESUMED_S + n * 600, ApiCall::Resume))
            .collect(),
        all_delivered: false,
        uncertain: UncertainLimit::InFlight,
        ..Plan::calm(rng)
    };
    plan.queues.copied = 0.3;
    if fails {
        plan.carrier.undeliv = 1.0;
        plan.expectations = vec![Expectation::OnlyCanary {
            recipients: recipients as usize,
            until_s: RESUMED_S,
        }];
    }
    plan
}
