//! A slow network delays messages and loses none.

use serde_json::json;

use crate::{
    server::Server,
    stack::{Fault, GlobalRun, Injection, faults::common::during, settings::Change},
};

pub const FAULT: Fault = Fault {
    name: "database-slow",
    description: "Every packet to and from the database takes 40 ms longer.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    let slow = Change::Network(Server::Database, json!({ "delay_ms": 40 }));
    during(&run, slow, 8).await
}
