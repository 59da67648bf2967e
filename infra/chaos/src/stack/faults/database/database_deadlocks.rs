//! A statement that loses a deadlock is retried.

use crate::stack::{Fault, GlobalRun, Injection, faults::common::lock_rows};

pub const FAULT: Fault = Fault {
    name: "database-deadlocks",
    description: "Another client locks the same rows in the opposite order.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(mut run: GlobalRun) -> anyhow::Result<()> {
    lock_rows(&mut run, 300).await
}
