//! The sweep enqueues the recheck.

use shared::platform::fault::Point;

use crate::stack::{Fault, Injection, faults::common::once_at, points::KILL};

pub const FAULT: Fault = Fault {
    name: "killed-before-enqueue",
    description: "Send is killed after the release, before it enqueues the recheck.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Released, KILL)),
};
