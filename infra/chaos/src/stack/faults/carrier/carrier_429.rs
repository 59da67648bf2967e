//! A request that the carrier throttles is repeated and uses up no attempt.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-429",
    description: "The carrier answers four in five requests with 429.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| with_carrier(run, json!({ "busy_429": 0.8 }), 5)),
};
