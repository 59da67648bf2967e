//! Nothing was sent, so that no recipient may be UNCERTAIN.

use shared::platform::fault::Point;

use crate::stack::{Fault, Injection, faults::common::once_at, points::KILL};

pub const FAULT: Fault = Fault {
    name: "killed-after-claim",
    description: "Send is killed after it has claimed a batch.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Claimed, KILL)),
};
