//! A request without an answer leaves its messages UNCERTAIN.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-swallows",
    description: "The carrier accepts half of the requests and never answers them.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| with_carrier(run, json!({ "hang_after_accept": 0.5 }), 5)),
};
