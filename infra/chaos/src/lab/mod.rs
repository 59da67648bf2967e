//! The lab: the real handlers in this process, on a clock that is moved.

use crate::outcome::Outcome;

/// A fault that is played in the lab.
pub struct Fault {
    /// As in `FAULT=`.
    pub name: &'static str,
    /// What happens, for the table of the documents.
    pub what: &'static str,
}

/// All of them.
pub const FAULTS: &[Fault] = &[];

/// Plays one run. `admin_url` names a database server, without a database; the run makes one of its own and drops it.
pub async fn play(_fault: &Fault, _seed: u64, _admin_url: &str) -> anyhow::Result<Outcome> {
    anyhow::bail!("no faults yet")
}
