//! An outage of the database delays messages and loses none.

use chrono::{TimeDelta, Utc};

use crate::{
    server::Server,
    stack::{
        Fault, GlobalRun, Injection,
        faults::common::{refuse_until, until_sending},
    },
};

pub const FAULT: Fault = Fault {
    name: "database-gone",
    description: "The database refuses every connection for four seconds.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    until_sending(&run).await;
    let end = Utc::now() + TimeDelta::seconds(4);
    refuse_until(&run.client, Server::Database, end).await
}
