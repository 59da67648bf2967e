//! The next recheck asks again.

use shared::platform::fault::Point;

use crate::stack::{Fault, Injection, faults::common::once_at, points::KILL};

pub const FAULT: Fault = Fault {
    name: "killed-recheck",
    description: "Recheck is killed after the carrier's answers, before they are recorded.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Asked, KILL)),
};
