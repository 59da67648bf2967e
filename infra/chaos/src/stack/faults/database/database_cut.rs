//! A lost connection to the database delays messages and loses none.

use std::time::Duration;

use crate::{
    server::Server,
    stack::{Fault, GlobalRun, Injection, faults::common::until},
};

pub const FAULT: Fault = Fault {
    name: "database-cut",
    description: "Every connection to the database is reset repeatedly.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(mut run: GlobalRun) -> anyhow::Result<()> {
    until(run.run_at).await;
    for _ in 0..10 {
        let settings = &run.client.settings;
        settings.cut_connections(Server::Database).await?;
        tokio::time::sleep(Duration::from_millis(run.rng.u64(50..900))).await;
    }
    Ok(())
}
