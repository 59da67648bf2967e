//! A number that is missing in the answer is UNCERTAIN.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-leaves-out",
    description: "Half of the carrier's answers leave out some numbers.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| with_carrier(run, json!({ "partial": 0.5 }), 5)),
};
