//! The next owner of the batch releases it.

use shared::platform::fault::Point;

use crate::stack::{Fault, Injection, faults::common::once_at, points::KILL};

pub const FAULT: Fault = Fault {
    name: "killed-before-release",
    description: "Send is killed after everything is recorded, before the release.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Recorded, KILL)),
};
