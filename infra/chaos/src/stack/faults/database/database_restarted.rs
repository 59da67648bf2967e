//! A restart loses no committed row.

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::stack::{Fault, GlobalRun, Injection, faults::common::until_sending};

pub const FAULT: Fault = Fault {
    name: "database-restarted",
    description: "The database server is killed with SIGKILL and started again.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    until_sending(&run).await;
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let restart = Command::new("infra/local/python")
        .args(["infra/local/stack.py", "restart-database"])
        .current_dir(workspace)
        .output();
    let restart = restart.await.context("restarting the database")?;
    ensure!(
        restart.status.success(),
        "restarting the database: {}",
        String::from_utf8_lossy(&restart.stderr)
    );
    Ok(())
}
