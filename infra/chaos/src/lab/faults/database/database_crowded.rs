//! The connections that are left suffice for the functions.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Condition, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "database-crowded",
    description: "Another client holds most of the connections that the database server accepts.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let end_s = rng.i64(300..600);
    Plan {
        script: vec![Scheduled::interval(-30, end_s, Condition::HoldsConnections)],
        ..Plan::calm(rng)
    }
}
