//! Nothing half erased is sent, and an erasure that is cut short is completed when it is repeated.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    plan::{ApiCall, Effect, Kills, OtherSchedule, Plan, Scheduled, Trap, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "erasure",
    description: "Numbers are erased on request while their schedule is sent, and a day later by age while another one is sent; the call and the sweep are killed between the parts, and are repeated.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let calls = rng.usize(4..=12);
    let script = (0..calls)
        .map(|_| Scheduled::call(rng.i64(-30..200), ApiCall::ErasePerson))
        .collect();
    let mut plan = Plan::open_ended(rng);
    plan.carrier.undeliv = 0.2;
    Plan {
        retain_days: 1,
        others: vec![OtherSchedule {
            after_s: rng.i64(87_000..90_000),
            recipients: rng.u32(20..=40),
        }],
        // A kill at a point counts as one of a batch that does not exist.
        kills: Kills {
            in_a_row: u32::MAX,
            ..Kills::default()
        },
        traps: vec![Trap::new(
            &[Point::Erased],
            0.5,
            rng.u32(2..=8),
            Effect::Kill,
        )],
        script,
        uncertain: UncertainLimit::Zero,
        ..plan
    }
}
