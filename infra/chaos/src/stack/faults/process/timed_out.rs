//! The hold is longer than the function's time-out of 6 s.

use std::time::Duration;

use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection,
    faults::common::{IN_FLIGHT, once_at},
    points::Action,
};

pub const FAULT: Fault = Fault {
    name: "timed-out",
    description: "Send hangs after the carrier's answers until Lambda ends it.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(IN_FLIGHT),
    injection: Injection::PerSchedule(|run| {
        once_at(run, Point::Answered, Action::Hold(Duration::from_secs(9)))
    }),
};
