//! The proxy's settings, which can change while it runs. All are off by default: bytes pass
//! unchanged and without delay.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The settings. The JSON fields have the same names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    /// Closes the port, as if no server were running: connecting fails with ECONNREFUSED. Open
    /// connections stay open; a cut ends them.
    pub refuse: bool,
    /// Holds back all bytes, and the end of a stream too. Nothing is lost: everything passes when
    /// this is turned off.
    pub stall: bool,
    /// The delay of each chunk (at most 16 KiB), in both directions. Chunks keep their order, so
    /// the delay also limits the throughput.
    pub delay_ms: u32,
    /// The number of bytes from the server that pass before the next byte resets the connection.
    /// Applies to connections accepted while it is set. With 0 the server receives the request and
    /// its whole response is lost. A response of exactly this length passes.
    pub cut_after_bytes: Option<u64>,
}

impl Mode {
    /// Returns these settings with the fields of `patch`, a JSON object, replaced.
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

/// A rejected change of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeError {
    /// The invalid field.
    pub field: String,
    /// The reason why it is invalid.
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
    fn a_patch_changes_only_the_named_fields() {
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
    fn invalid_settings_are_rejected_by_name() {
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
