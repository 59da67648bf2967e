//! A fault of the lab.

use fastrand::Rng;

use super::plan::Plan;

/// A fault that runs in the lab.
pub struct Fault {
    /// Its name, as in `FAULT=`.
    pub name: &'static str,
    /// What happens, in one sentence, for the tables.
    pub description: &'static str,
    /// Draws the plan of one run.
    pub(super) plan: fn(&mut Rng) -> Plan,
}
