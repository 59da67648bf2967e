//! The running stack, as its file of settings describes it (`KEY=VALUE` lines).

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Where `make up` leaves the settings.
const DEFAULT_FILE: &str = ".local/stack.env";
/// The lead of the local stack, where its settings don't say.
const DEFAULT_LEAD_S: u32 = 20;

/// A stack's settings.
#[derive(Clone, Debug)]
pub struct Stack {
    values: HashMap<String, String>,
    file: PathBuf,
}

impl Stack {
    /// The stack that `STACK_ENV` names. Fails when there is none.
    pub fn from_environment() -> anyhow::Result<Self> {
        let named = std::env::var("STACK_ENV")
            .ok()
            .filter(|value| !value.is_empty());
        Self::read(Path::new(named.as_deref().unwrap_or(DEFAULT_FILE)))
    }

    /// Reads the file; a relative path counts from the current folder, and failing that from the workspace's, since tests run
    /// in their crate's folder.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let file = if file.exists() {
            file.to_owned()
        } else {
            workspace.join(file)
        };
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!(
                "no stack is described in {}: `make up` starts one",
                file.display()
            )
        })?;
        Ok(Self {
            values: parse(&text),
            file,
        })
    }

    /// A setting.
    pub fn value(&self, name: &str) -> anyhow::Result<&str> {
        self.optional(name)
            .with_context(|| format!("{} says no {name}", self.file.display()))
    }

    /// A setting that may be missing.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The carrier's address without its path: the ledger and the simulator's settings stand beside `/api`.
    pub fn carrier_origin(&self) -> anyhow::Result<String> {
        let url = reqwest::Url::parse(self.value("CARRIER_URL")?).context("CARRIER_URL")?;
        Ok(url.origin().ascii_serialization())
    }

    /// Seconds by which dispatch is invoked ahead of a schedule's time.
    pub fn lead_s(&self) -> u32 {
        let given = std::env::var("DISPATCH_LEAD_S").ok();
        let told = self.optional("DISPATCH_LEAD_S").or(given.as_deref());
        told.and_then(|value| value.trim().parse().ok())
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
    fn settings_are_read_as_a_shell_reads_them() {
        let values = parse(
            "# ours\nAPI_URL=http://127.0.0.1:8480\nexport CARRIER_URL='http://h:1/api?a=b'\n\nnonsense\n",
        );
        assert_eq!(values.len(), 2);
        assert_eq!(values["CARRIER_URL"], "http://h:1/api?a=b");
    }

    #[test]
    fn the_ledger_stands_at_the_carriers_origin() {
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
    fn a_missing_stack_is_an_error_that_says_what_to_do() {
        let error = Stack::read(Path::new("/nowhere/stack.env")).unwrap_err();
        assert!(error.to_string().contains("make up"));
    }
}
