//! An outage of the carrier delays messages and uses up no attempt.

use chrono::TimeDelta;

use crate::{
    server::Server,
    stack::{
        Fault, GlobalRun, Injection,
        faults::common::{refuse_until, until},
    },
};

pub const FAULT: Fault = Fault {
    name: "carrier-gone",
    description: "The carrier refuses every connection for eight seconds.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    until(run.run_at - TimeDelta::seconds(1)).await;
    let end = run.run_at + TimeDelta::seconds(7);
    refuse_until(&run.client, Server::Carrier, end).await
}
