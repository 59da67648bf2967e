//! A status that cannot be read is asked for again.

use fastrand::Rng;

use crate::lab::{fault::Fault, faults::common::with_carrier, plan::Plan};

pub const FAULT: Fault = Fault {
    name: "status-nonsense",
    description: "The carrier answers status queries with web pages, errors or undocumented \
                  statuses.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    with_carrier(Plan::calm(rng), |carrier| {
        (carrier.status_html, carrier.status_error, carrier.odd) = (0.3, 0.2, 0.4);
    })
}
