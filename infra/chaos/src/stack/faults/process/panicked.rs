//! A panic loses the answers, as a kill does.

use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection,
    faults::common::{IN_FLIGHT, once_at},
    points::Action,
};

pub const FAULT: Fault = Fault {
    name: "panicked",
    description: "Send panics after the carrier's answers.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(IN_FLIGHT),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Answered, Action::Panic)),
};
