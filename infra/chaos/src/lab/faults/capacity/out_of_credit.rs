//! An account without credit is the operator's problem, not the recipients'.

use fastrand::Rng;
use simulator::Settings;

use crate::lab::{
    fault::Fault,
    plan::{ApiCall, Condition, Expectation, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "out-of-credit",
    description: "The account's credit is used up in the middle of a list, and the carrier refuses \
                  every request; an operator tops it up and resumes the schedule.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let refuses: fn(&mut Settings) = match rng.u32(0..4) {
        0 => |carrier| carrier.credit_parts = Some(0),
        1 => |carrier| (carrier.credit_parts, carrier.credit_status) = (Some(15), Some(403)),
        2 => |carrier| (carrier.credit_parts, carrier.credit_status) = (Some(15), Some(400)),
        _ => |carrier| carrier.credit_parts = Some(15),
    };
    // Until the operator resumes it, the paused schedule asks the carrier for nothing.
    let topped_up_s = rng.i64(60..1_800);
    let refuses = Condition::CarrierSettings(refuses);
    let script = vec![
        Scheduled::interval(-10, topped_up_s, refuses),
        Scheduled::call(topped_up_s + rng.i64(5..600), ApiCall::Resume),
    ];
    Plan {
        rate: None,
        script,
        expectations: vec![Expectation::OutOfCredit { most: 8 }],
        ..Plan::calm(rng)
    }
}
