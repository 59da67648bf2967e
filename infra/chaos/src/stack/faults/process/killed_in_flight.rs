//! Only the recipients of the requests in flight may be UNCERTAIN.

use std::time::Duration;

use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection,
    faults::common::{IN_FLIGHT, once_at},
    points::Action,
};

pub const FAULT: Fault = Fault {
    name: "killed-in-flight",
    description: "Send is killed while two requests are in flight.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(IN_FLIGHT),
    injection: Injection::PerSchedule(|run| {
        once_at(
            run,
            Point::InFlight,
            Action::Kill {
                after: Duration::from_millis(150),
            },
        )
    }),
};
