//! What came of a fault's runs.

use std::time::Duration;

/// The sum over some runs.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many.
    pub runs: u32,
    /// Recipients of all.
    pub recipients: u64,
    /// Recipients who neither got the text, nor are shown as uncertain, cancelled, held or parked: must be 0.
    pub lost: u64,
    /// Acceptances by the carrier beyond what the policy allows: must be 0.
    pub doubled: u64,
    /// Attempts that rest, or rested, UNCERTAIN.
    pub uncertain: u64,
    /// Recipients held in a missed or parked batch at the end: shown, and to be restarted by a person.
    pub held: u64,
    /// From the first fault to the last change of a row, of each run.
    pub heal: Vec<Duration>,
    /// Everything else that is wrong, with the seed of the run.
    pub problems: Vec<String>,
}

impl Outcome {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.problems.is_empty()
    }

    /// Adds other runs.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.recipients += other.recipients;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.uncertain += other.uncertain;
        self.held += other.held;
        self.heal.extend(other.heal);
        self.problems.extend(other.problems);
    }
}
