//! An answer that is incomplete leaves its messages UNCERTAIN.

use serde_json::json;

use crate::{
    server::Server,
    stack::{Fault, GlobalRun, Injection, faults::common::during, settings::Change},
};

pub const FAULT: Fault = Fault {
    name: "carrier-cut-short",
    description: "Every connection to the carrier is reset in the middle of its first answer.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    let cut_short = Change::Network(Server::Carrier, json!({ "cut_after_bytes": 40 }));
    during(&run, cut_short, 3).await
}
