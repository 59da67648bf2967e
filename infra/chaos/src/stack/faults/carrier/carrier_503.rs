//! After a 503 it is unknown whether the carrier accepted the messages.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-503",
    description: "The carrier answers every request with 503.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| with_carrier(run, json!({ "error_5xx_before": 1.0 }), 5)),
};
