//! A flush that marks only some of its recipients leaves none of them UNCERTAIN, although the batch
//! is taken from its worker at the same moment.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::{
    fault::Fault,
    faults::common::call_when_reached,
    plan::{ApiCall, Plan, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "marks-in-part",
    description: "Recipients are cancelled just before they are marked, and others are changed before the marks beside them are taken back: no request was made, so nobody is UNCERTAIN.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let traps = vec![
        call_when_reached(
            &[Point::Claimed, Point::Marked, Point::Answered],
            0.5,
            10,
            ApiCall::CancelRecipients,
        ),
        call_when_reached(&[Point::MarkedInPart], 0.9, 12, ApiCall::ChangeNumbers),
    ];
    let recipients = rng.u32(40..=80);
    Plan {
        traps,
        recipients,
        batch_size: recipients,
        request_size: rng.usize(2..=5),
        rate: None,
        uncertain: UncertainLimit::Zero,
        ..Plan::open_ended(rng)
    }
}
