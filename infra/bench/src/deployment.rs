//! The functions of `template.yaml`, as `infra/local/functions.py` prints them.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use serde::Deserialize;

use crate::driver::Setup;

/// Keys with which nothing but a benchmark is signed.
const KEYS: &str = r#"{"kid":"bench","key":"0123456789abcdef0123456789abcdef"}"#;
const CALLBACKS: &str = r#"{"sim":"0123456789abcdef0123456789abcdef"}"#;

/// All functions, and the queues that invoke them.
#[derive(Clone, Debug, Deserialize)]
pub struct Deployment {
    /// By name: api, dispatch and so on.
    pub functions: BTreeMap<String, DeployedFunction>,
    /// The event source mappings.
    pub sources: Vec<Source>,
}

/// A function.
#[derive(Clone, Debug, Deserialize)]
pub struct DeployedFunction {
    /// Its timeout in seconds.
    pub timeout_s: u64,
    /// Its memory in MB, by which AWS bills.
    pub memory_mb: u32,
    /// Its environment variables, with placeholders until [`Deployment::resolved`].
    pub environment: HashMap<String, String>,
}

/// A queue that invokes a function.
#[derive(Clone, Debug, Deserialize)]
pub struct Source {
    /// The queue's name in the template.
    pub queue: String,
    /// The function.
    pub function: String,
    /// Invocations at a time.
    pub concurrency: usize,
}

impl Deployment {
    /// Reads the output of `functions.py`.
    pub fn parse(json: &str) -> anyhow::Result<Self> {
        serde_json::from_str(json).context("the functions of the template")
    }

    /// Returns a function.
    pub fn function(&self, name: &str) -> anyhow::Result<&DeployedFunction> {
        let found = self.functions.get(name);
        found.with_context(|| format!("the template has no function {name}"))
    }

    /// Returns the source of a function.
    pub fn source(&self, function: &str) -> anyhow::Result<&Source> {
        let found = self
            .sources
            .iter()
            .find(|source| source.function == function);
        found.with_context(|| format!("no queue invokes {function}"))
    }

    /// Returns a whole number from the environment of a function.
    pub fn number(&self, function: &str, variable: &str) -> anyhow::Result<usize> {
        let value = self.function(function)?.environment.get(variable);
        let value = value.with_context(|| format!("{function} has no variable {variable}"))?;
        value
            .parse()
            .with_context(|| format!("{variable} is `{value}`"))
    }

    /// Returns a copy whose placeholders are replaced, with the settings of a scenario and what
    /// Lambda itself sets.
    #[must_use]
    pub fn resolved(&self, aws: &str, setup: &Setup<'_>) -> Self {
        let mut resolved = self.clone();
        for function in resolved.functions.values_mut() {
            for (name, value) in &mut function.environment {
                let setting = setup.settings.iter().find(|(given, _)| given == name);
                if let Some((_, setting)) = setting {
                    (*setting).clone_into(value);
                }
                for (placeholder, replacement) in [
                    ("{aws}", aws),
                    ("{database}", &setup.database),
                    ("{carrier}", &setup.carrier),
                    ("{keys}", KEYS),
                    ("{callbacks}", CALLBACKS),
                ] {
                    *value = value.replace(placeholder, replacement);
                }
            }
            let lambda = [
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "bench"),
                ("AWS_SECRET_ACCESS_KEY", "bench"),
                ("AWS_ENDPOINT_URL", aws),
            ];
            let lambda = lambda.map(|(name, value)| (name.to_owned(), value.to_owned()));
            function.environment.extend(lambda);
        }
        resolved
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn placeholders_and_settings_are_replaced() {
        let json = r#"{"functions": {"send": {"timeout_s": 60, "memory_mb": 256, "environment": {
            "SEND_QUEUE_URL": "{aws}/queues/SendQueue", "DATABASE_URL": "{database}", "BATCH_SIZE": "500"}}},
            "sources": [{"queue": "SendQueue", "function": "send", "concurrency": 8}]}"#;
        let setup = Setup {
            binaries: Path::new("target/debug"),
            logs: "logs".into(),
            database: "mysql://root@h/d".to_owned(),
            carrier: "http://c/api".to_owned(),
            settings: &[("BATCH_SIZE", "7"), ("UNKNOWN", "1")],
        };
        let deployment = Deployment::parse(json).unwrap();
        let deployment = deployment.resolved("http://h:1", &setup);
        let environment = &deployment.function("send").unwrap().environment;
        assert_eq!(environment["SEND_QUEUE_URL"], "http://h:1/queues/SendQueue");
        assert_eq!(environment["DATABASE_URL"], "mysql://root@h/d");
        assert_eq!(deployment.number("send", "BATCH_SIZE").unwrap(), 7);
        assert!(!environment.contains_key("UNKNOWN"));
        assert_eq!(deployment.source("send").unwrap().concurrency, 8);
        assert!(deployment.function("sender").is_err());
    }
}
