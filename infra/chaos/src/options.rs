//! The options in the environment: `RUNS`, `SEED` and `FAULT`.

use anyhow::Context;

/// The faults to run, how often, and with which seeds.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs of each fault.
    pub runs: u32,
    /// The seed of the first run. Each further run adds 1.
    pub seed: u64,
    /// Prefixes of fault names, such as `killed` or `lab/carrier`. Empty selects all faults.
    pub faults: Vec<String>,
}

impl Options {
    /// Reads the options. If `SEED` is not set, draws a seed.
    pub fn from_environment() -> anyhow::Result<Self> {
        let variable = |name: &str| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let number = |name: &str, default: u64| match variable(name) {
            None => Ok(default),
            Some(value) => value
                .trim()
                .parse()
                .with_context(|| format!("{name} is `{value}`; expected a whole number")),
        };
        let faults = variable("FAULT").unwrap_or_default();
        Ok(Self {
            runs: u32::try_from(number("RUNS", 3)?.max(1)).context("RUNS")?,
            seed: number("SEED", fastrand::u64(1..1_000_000))?,
            faults: faults
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Returns whether the fault `name` in `place` (`lab` or `stack`) is selected.
    pub fn selects(&self, place: &str, name: &str) -> bool {
        let matches = |prefix: &String| {
            let rest = prefix
                .strip_prefix(place)
                .and_then(|rest| rest.strip_prefix('/'));
            name.starts_with(rest.unwrap_or(prefix.as_str()))
        };
        self.faults.is_empty() || self.faults.iter().any(matches)
    }

    /// Returns the seed of a fault's n-th run, counted from 0. It does not depend on the other
    /// selected faults, so that `SEED=… FAULT=… RUNS=1` repeats the run.
    pub fn seed_of(&self, run: u32) -> u64 {
        self.seed + u64::from(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_selected_by_a_prefix_of_its_name_and_by_its_place() {
        let selects = |faults: &[&str], place, name| {
            let faults = faults.iter().map(|&fault| fault.to_owned()).collect();
            Options {
                runs: 1,
                seed: 1,
                faults,
            }
            .selects(place, name)
        };
        assert!(selects(&[], "lab", "mix"));
        assert!(
            selects(&["database", "mix"], "lab", "mix") && !selects(&["database"], "lab", "mix")
        );
        assert!(selects(&["lab/"], "lab", "mix") && !selects(&["lab/"], "stack", "mix"));
        assert!(
            selects(&["stack/killed"], "stack", "killed-in-flight")
                && !selects(&["stack/killed"], "lab", "killed-anywhere")
        );
    }
}
