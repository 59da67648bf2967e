//! The carrier accepts a request after the client has given up on it.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-slow",
    description: "Every request takes longer than the HTTP time-out.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| with_carrier(run, json!({ "slow_ms": 3000 }), 6)),
};
