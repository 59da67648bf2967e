//! An answer that cannot be read leaves its messages UNCERTAIN.

use serde_json::json;

use crate::stack::{Fault, Injection, faults::common::with_carrier};

pub const FAULT: Fault = Fault {
    name: "carrier-nonsense",
    description: "The carrier accepts requests and answers them with {}, [] or a web page.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| {
        with_carrier(
            run,
            json!({ "empty_object": 0.2, "empty_array": 0.2, "html": 0.2 }),
            5,
        )
    }),
};
