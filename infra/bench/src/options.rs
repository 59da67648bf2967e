//! The options in the environment: `ONLY`, `N`, `RUNS`, `SMOKE` and `RENEW`.

use anyhow::Context;

/// What is measured, how often and with how many messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Prefixes of scenario names. Empty selects all.
    pub only: Vec<String>,
    /// The number of messages of every scenario, in place of its own.
    pub messages: Option<u64>,
    /// Runs of each scenario.
    pub runs: u32,
    /// Whether only the correct end of each scenario is checked, with few messages.
    pub smoke: bool,
    /// Whether `docs/performance.md` is renewed.
    pub renew: bool,
}

/// The number of messages per scenario in a smoke test.
const SMOKE: u64 = 600;

impl Options {
    /// Reads the options.
    pub fn from_environment() -> anyhow::Result<Self> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let number = |name: &str| {
            variable(name)
                .map(|value| {
                    let number = value.trim().replace(['_', ','], "").parse::<u64>();
                    number.with_context(|| format!("{name} is `{value}`; expected a whole number"))
                })
                .transpose()
        };
        let smoke = variable("SMOKE").is_some();
        let only = variable("ONLY").unwrap_or_default();
        let runs = number("RUNS")?.unwrap_or(if smoke { 1 } else { 3 });
        Ok(Self {
            only: only
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            messages: number("N")?,
            runs: u32::try_from(runs.max(1)).context("RUNS")?,
            smoke,
            renew: variable("RENEW").is_some(),
        })
    }

    /// Returns whether a scenario is selected.
    pub fn selects(&self, name: &str) -> bool {
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// Returns the number of messages of a scenario whose own number is `usual`.
    pub fn messages(&self, usual: u64) -> u64 {
        let smoke = if self.smoke { SMOKE.min(usual) } else { usual };
        self.messages.unwrap_or(smoke).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> anyhow::Result<Options> {
        Options::read(|name| {
            let found = pairs.iter().find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_smoke_test_has_few_messages_and_one_run() {
        let options = read(&[("SMOKE", "1"), ("ONLY", "packed, life")]).unwrap();
        assert_eq!((options.messages(1_000_000), options.runs), (SMOKE, 1));
        assert!(options.selects("packed-50") && !options.selects("memory"));
        let options = read(&[("N", "2_000"), ("RUNS", "5"), ("ONLY", "")]).unwrap();
        assert_eq!((options.messages(100_000), options.runs), (2_000, 5));
        assert!(options.selects("memory"));
        assert!(read(&[("RUNS", "many")]).is_err());
    }
}
