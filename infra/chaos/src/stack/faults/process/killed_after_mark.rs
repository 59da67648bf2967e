//! Afterwards it cannot be known whether the marked recipients were sent to.

use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection,
    faults::common::{IN_FLIGHT, once_at},
    points::KILL,
};

pub const FAULT: Fault = Fault {
    name: "killed-after-mark",
    description: "Send is killed after it has marked recipients, before any request.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(IN_FLIGHT),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Marked, KILL)),
};
