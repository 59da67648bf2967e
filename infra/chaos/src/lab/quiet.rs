//! A run in which nothing goes wrong: no alarm may be raised. It is no fault, and not in the table.

use fastrand::Rng;

use super::{fault::Fault, plan::Plan};

/// Nothing goes wrong.
pub const QUIET: Fault = Fault {
    name: "quiet",
    description: "Nothing goes wrong.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    Plan::calm(rng)
}
