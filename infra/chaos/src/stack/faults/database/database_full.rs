//! Functions that get no connection retry later.

use chrono::TimeDelta;

use crate::{
    server::Server,
    stack::{Fault, GlobalRun, Injection, faults::common::until, settings::Change},
};

pub const FAULT: Fault = Fault {
    name: "database-full",
    description: "The database accepts only ten connections.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    until(run.run_at - TimeDelta::seconds(1)).await;
    let settings = &run.client.settings;
    let full = async {
        settings.cut_connections(Server::Database).await?;
        until(run.run_at + TimeDelta::seconds(5)).await;
        Ok(())
    };
    let ten_connections = Change::DatabaseVariable("max_connections", 10);
    settings.during(ten_connections, full).await
}
