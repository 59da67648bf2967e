//! The sweep enqueues the batches a second time, which has no effect.

use shared::platform::fault::Point;

use crate::stack::{Fault, Injection, faults::common::once_at, points::KILL};

pub const FAULT: Fault = Fault {
    name: "killed-dispatch-after-enqueue",
    description: "Dispatch is killed after the batches are enqueued, before they are marked so.",
    recipients: 500,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| once_at(run, Point::Enqueued, KILL)),
};
