//! The functions respect Retry-After.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-429-retry-after",
    description: "The carrier answers every request with 429 and Retry-After.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| {
        with_carrier(run, json!({ "busy_429": 1.0, "retry_after_s": 2 }), 5)
    }),
};
