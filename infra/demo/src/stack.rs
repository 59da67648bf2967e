//! The running stack's settings, read from its file of `KEY=VALUE` lines.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Where `make up` writes the settings.
const DEFAULT_FILE: &str = ".local/stack.env";
/// The local stack's lead if its settings don't contain one.
const DEFAULT_LEAD_S: u32 = 20;

/// The settings of a stack.
#[derive(Clone, Debug)]
pub struct Stack {
    values: HashMap<String, String>,
    file: PathBuf,
}

impl Stack {
    /// Reads the settings from the file that `STACK_ENV` names. Fails if the file doesn't exist.
    pub fn from_environment() -> anyhow::Result<Self> {
        let named = std::env::var("STACK_ENV")
            .ok()
            .filter(|value| !value.is_empty());
        Self::read(Path::new(named.as_deref().unwrap_or(DEFAULT_FILE)))
    }

    /// Reads the settings from `file`. A relative path is resolved against the current folder, then
    /// against the workspace's, because tests run in their crate's folder.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let file = if file.exists() {
            file.to_owned()
        } else {
            workspace.join(file)
        };
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!(
                "no stack settings in {}: `make up` starts a stack",
                file.display()
            )
        })?;
        Ok(Self {
            values: parse(&text),
            file,
        })
    }

    /// Returns a setting. Fails if it is missing.
    pub fn value(&self, name: &str) -> anyhow::Result<&str> {
        self.optional(name)
            .with_context(|| format!("{} has no {name}", self.file.display()))
    }

    /// Returns a setting, if there is one.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Returns the carrier's URL without its path: the ledger and the simulator's settings are
    /// siblings of `/api`.
    pub fn carrier_origin(&self) -> anyhow::Result<String> {
        let url = reqwest::Url::parse(self.value("CARRIER_URL")?).context("CARRIER_URL")?;
        Ok(url.origin().ascii_serialization())
    }

    /// Returns how many seconds before a schedule's time dispatch is invoked.
    pub fn lead_s(&self) -> u32 {
        let given = std::env::var("DISPATCH_LEAD_S").ok();
        let lead_s = self.optional("DISPATCH_LEAD_S").or(given.as_deref());
        lead_s
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(DEFAULT_LEAD_S)
    }
}

fn parse(text: &str) -> HashMap<String, String> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let pairs =
        lines.filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='));
    pairs
        .map(|(name, value)| {
            (
                name.trim().to_owned(),
                value.trim().trim_matches(['"', '\'']).to_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_parsed_like_a_shell_script() {
        let values = parse(
            "# ours\nAPI_URL=http://127.0.0.1:8480\nexport CARRIER_URL='http://h:1/api?a=b'\n\nnonsense\n",
        );
        assert_eq!(values.len(), 2);
        assert_eq!(values["CARRIER_URL"], "http://h:1/api?a=b");
    }

    #[test]
    fn the_carriers_origin_has_no_path() {
        let values = parse("CARRIER_URL=http://127.0.0.1:9999/api\nDISPATCH_LEAD_S=7");
        let stack = Stack {
            values,
            file: PathBuf::new(),
        };
        assert_eq!(stack.carrier_origin().unwrap(), "http://127.0.0.1:9999");
        assert_eq!(stack.lead_s(), 7);
        assert!(
            stack
                .value("API_URL")
                .unwrap_err()
                .to_string()
                .contains("API_URL")
        );
    }

    #[test]
    fn the_error_for_a_missing_stack_names_the_command() {
        let error = Stack::read(Path::new("/nowhere/stack.env")).unwrap_err();
        assert!(error.to_string().contains("make up"));
    }
}
