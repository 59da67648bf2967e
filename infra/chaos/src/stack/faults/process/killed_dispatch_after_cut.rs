//! The sweep enqueues the batches.

use shared::platform::fault::Point;

use crate::stack::{Fault, Injection, faults::common::once_at, points::KILL};

pub const FAULT: Fault = Fault {
    name: "killed-dispatch-after-cut",
    description: "Dispatch is killed after the cut is committed, before anything is enqueued.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Cut, KILL)),
};
