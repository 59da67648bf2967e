//! A text of several parts has one result, computed from the results of its parts.

use fastrand::Rng;
use simulator::UnknownId;

use crate::lab::{
    fault::Fault,
    faults::common::with_carrier,
    plan::{CarrierForm, LONG, Plan},
};

pub const FAULT: Fault = Fault {
    name: "long-texts",
    description: "Texts of three parts are sent while answers are lost, leave out numbers, and \
                  messages fail.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let plan = with_carrier(Plan::open_ended(rng), |carrier| {
        carrier.reset_after_accept = 0.1;
        carrier.partial = 0.2;
        carrier.undeliv = 0.05;
        carrier.unknown_id = UnknownId::NotFound;
    });
    let form = if rng.bool() {
        CarrierForm::Account
    } else {
        CarrierForm::OwnIds
    };
    Plan {
        text: LONG.to_owned(),
        form,
        ..plan
    }
}
