//! Explores the states of a mix of faults, and returns which properties are violated.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use stateright::{Checker, HasDiscoveries, Model};

use crate::mix::Mix;

/// The result of an exploration.
#[derive(Clone, Debug)]
pub struct Report {
    /// Distinct states.
    pub states: usize,
    /// The length of the longest path.
    pub depth: usize,
    /// The duration.
    pub time: Duration,
    /// The violated properties, each with the steps that lead to its violation.
    pub violations: BTreeMap<&'static str, Vec<String>>,
}

/// Explores a mix completely, or until a property is violated.
pub fn explore(mix: Mix) -> Report {
    explore_to(mix, usize::MAX, HasDiscoveries::AnyFailures)
}

/// Returns the steps of a shortest path to a violation of the property. Explores until the property
/// is violated, then repeats with a smaller depth until no shorter path exists.
pub fn shortest_violation(mix: Mix, property: &'static str) -> Option<Vec<String>> {
    let find = |steps| {
        explore_to(mix, steps, HasDiscoveries::AnyOf([property].into()))
            .violations
            .remove(property)
    };
    let mut shortest = find(usize::MAX)?;
    while let Some(shorter) = find(shortest.len()) {
        shortest = shorter;
    }
    Some(shortest)
}

/// Explores the states that are fewer than `steps` steps away.
fn explore_to(mix: Mix, steps: usize, end: HasDiscoveries) -> Report {
    let start = Instant::now();
    let checker = mix
        .checker()
        .threads(2)
        .target_max_depth(steps.saturating_add(1))
        .finish_when(end)
        .spawn_bfs()
        .join();
    let found = checker
        .discoveries()
        .into_iter()
        .map(|(name, path)| (name, path.into_actions()));
    let violations = found
        .map(|(name, steps)| (name, steps.iter().map(|step| format!("{step:?}")).collect()))
        .collect();
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time: start.elapsed(),
        violations,
    }
}
