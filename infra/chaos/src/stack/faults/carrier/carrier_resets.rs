//! A request whose connection is reset leaves its messages UNCERTAIN.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-resets",
    description: "The carrier accepts half of the requests and resets their connections.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| with_carrier(run, json!({ "reset_after_accept": 0.5 }), 5)),
};
