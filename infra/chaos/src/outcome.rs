//! The outcome of a fault's runs.

use std::time::Duration;

/// The sum over one or more runs.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Number of runs.
    pub runs: u32,
    /// Recipients of all runs.
    pub recipients: u64,
    /// Recipients that neither got the text nor are reported as uncertain, cancelled, held or
    /// parked. Must be 0.
    pub lost: u64,
    /// Acceptances by the carrier beyond what the policy allows. Must be 0.
    pub duplicated: u64,
    /// Attempts that are UNCERTAIN or were so for a time.
    pub uncertain: u64,
    /// Recipients that are held in a missed or parked batch at the end. They are reported, and an
    /// operator restarts them.
    pub held: u64,
    /// Per run, the time from the first fault to the last change of a row.
    pub recovery: Vec<Duration>,
    /// All other problems. Each names the seed of its run.
    pub problems: Vec<String>,
}

impl Outcome {
    /// Returns whether no problem was found.
    pub fn holds(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.problems.is_empty()
    }

    /// Adds the outcome of other runs.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.recipients += other.recipients;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.uncertain += other.uncertain;
        self.held += other.held;
        self.recovery.extend(other.recovery);
        self.problems.extend(other.problems);
    }
}
