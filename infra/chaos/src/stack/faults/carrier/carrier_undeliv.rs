//! A message that failed is sent again.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-undeliv",
    description: "The first message to every recipient ends UNDELIV.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| {
        with_carrier(run, json!({ "undeliv_first_attempts": 1 }), 30)
    }),
};
