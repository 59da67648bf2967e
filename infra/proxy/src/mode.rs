//! The proxy's behaviour, changeable while it runs. Everything is off by default: bytes pass as they come.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All settings. In JSON each field has the same name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    /// The port is closed, as if no server ran: to connect gives ECONNREFUSED. Open connections stay; a cut ends them.
    pub refuse: bool,
    /// Nothing passes, the end of a stream included, and nothing is lost: it passes once this is off.
    pub stall: bool,
    /// How long each chunk (at most 16 KiB) waits, in both directions. Chunks don't overtake: this limits the throughput too.
    pub delay_ms: u32,
    /// A connection accepted while this is set is reset in place of the first byte from the server beyond so many: with 0 the
    /// server has got the request and its whole answer is lost. An answer of exactly that length passes.
    pub cut_after_bytes: Option<u64>,
}

impl Mode {
    /// These settings with the fields of `patch`, a JSON object, in place of their own.
    pub fn patched(self, patch: Value) -> Result<Self, ModeError> {
        let Value::Object(patch) = patch else {
            return Err(ModeError::new("settings", "must be a JSON object"));
        };
        let mut merged =
            serde_json::to_value(self).map_err(|error| ModeError::new("settings", error))?;
        if let Value::Object(fields) = &mut merged {
            fields.extend(patch);
        }
        serde_path_to_error::deserialize(merged)
            .map_err(|error| ModeError::new(&error.path().to_string(), error.inner()))
    }
}

/// Settings that were not taken over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeError {
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ModeError {
    fn new(field: &str, problem: impl fmt::Display) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.to_string(),
        }
    }
}

impl fmt::Display for ModeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for ModeError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let mode = Mode {
            stall: true,
            delay_ms: 5,
            ..Mode::default()
        };
        let patched = mode
            .patched(json!({ "delay_ms": 7, "cut_after_bytes": 3 }))
            .unwrap();
        assert_eq!(
            patched,
            Mode {
                stall: true,
                delay_ms: 7,
                cut_after_bytes: Some(3),
                refuse: false
            }
        );
        assert_eq!(
            patched
                .patched(json!({ "cut_after_bytes": null }))
                .unwrap()
                .cut_after_bytes,
            None
        );
    }

    #[test]
    fn what_is_no_setting_is_refused_by_name() {
        for (patch, field) in [
            (json!({ "refuse": 1 }), "refuse"),
            (json!({ "delay_ms": -1 }), "delay_ms"),
            (json!({ "latency_ms": 1 }), "latency_ms"),
            (json!([]), "settings"),
        ] {
            assert_eq!(Mode::default().patched(patch).unwrap_err().field, field);
        }
    }
}
