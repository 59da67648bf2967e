//! Each recipient who got nothing is sent to again once, however often the copy is cut short.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    plan::{ApiCall, Effect, Kills, Plan, ResendFaults, Scheduled, Trap, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "resend-killed",
    description: "Four in ten messages end UNDELIV, and an operator sends to them again, twice at once; each call is killed between the parts of the list that it copies, or at any moment, and is repeated.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let at_s = rng.i64(60..900);
    let mut script = vec![Scheduled::call(at_s, ApiCall::Resend)];
    // Also while another call copies, and when the list is complete.
    script.push(Scheduled::call(at_s, ApiCall::Resend));
    script.push(Scheduled::call(at_s + rng.i64(1..400), ApiCall::Resend));
    let mut plan = Plan::open_ended(rng);
    plan.carrier.undeliv = 0.4;
    Plan {
        max_attempts: 1,
        resends: Some(ResendFaults {
            chunk: rng.u32(1..=4),
            killed: 0.3,
        }),
        // A kill at a point counts as one of a batch that does not exist.
        kills: Kills {
            in_a_row: u32::MAX,
            ..Kills::default()
        },
        traps: vec![Trap::new(
            &[Point::Copied],
            0.4,
            rng.u32(2..=8),
            Effect::Kill,
        )],
        script,
        uncertain: UncertainLimit::Zero,
        ..plan
    }
}
