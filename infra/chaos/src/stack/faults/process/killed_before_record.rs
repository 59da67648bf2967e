//! The answers are lost, so that their recipients are UNCERTAIN.

use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection,
    faults::common::{IN_FLIGHT, once_at},
    points::KILL,
};

pub const FAULT: Fault = Fault {
    name: "killed-before-record",
    description: "Send is killed after the carrier's answers, before they are recorded.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(IN_FLIGHT),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Answered, KILL)),
};
