//! What the environment asks for: `RUNS`, `SEED`, `FAULT`.

use anyhow::Context;

/// What is played.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs of every fault.
    pub runs: u32,
    /// The first run's seed; the others' follow from it.
    pub seed: u64,
    /// Beginnings of names, such as `killed` or `lab/carrier`; empty for all.
    pub faults: Vec<String>,
}

impl Options {
    /// Reads it; a seed is drawn if none is given.
    pub fn from_environment() -> anyhow::Result<Self> {
        let given = |name: &str| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let number = |name: &str, usual: u64| match given(name) {
            None => Ok(usual),
            Some(value) => value
                .trim()
                .parse()
                .with_context(|| format!("{name} is `{value}`; expected a whole number")),
        };
        let faults = given("FAULT").unwrap_or_default();
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

    /// Whether that fault, played there, is asked for.
    pub fn wants(&self, place: &str, name: &str) -> bool {
        let means = |wanted: &String| {
            let rest = wanted
                .strip_prefix(place)
                .and_then(|rest| rest.strip_prefix('/'));
            name.starts_with(rest.unwrap_or(wanted.as_str()))
        };
        self.faults.is_empty() || self.faults.iter().any(means)
    }

    /// The seed of a fault's n-th run (from 0): the same whatever else is played, so that `SEED=… FAULT=… RUNS=1` plays it again.
    pub fn seed_of(&self, run: u32) -> u64 {
        self.seed + u64::from(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_meant_by_the_beginning_of_its_name_and_by_its_place() {
        let wants = |faults: &[&str], place, name| {
            let faults = faults.iter().map(|&fault| fault.to_owned()).collect();
            Options {
                runs: 1,
                seed: 1,
                faults,
            }
            .wants(place, name)
        };
        assert!(wants(&[], "lab", "mix"));
        assert!(wants(&["database", "mix"], "lab", "mix") && !wants(&["database"], "lab", "mix"));
        assert!(wants(&["lab/"], "lab", "mix") && !wants(&["lab/"], "stack", "mix"));
        assert!(
            wants(&["stack/killed"], "stack", "killed-in-flight")
                && !wants(&["stack/killed"], "lab", "killed-anywhere")
        );
    }
}
