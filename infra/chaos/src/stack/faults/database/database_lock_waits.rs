//! A statement that waits too long for a lock is retried.

use std::sync::Arc;

use crate::{
    server::Server,
    stack::{Fault, GlobalRun, Injection, faults::common::lock_rows, settings::Change},
};

pub const FAULT: Fault = Fault {
    name: "database-lock-waits",
    description: "Another client holds row locks for longer than the lock-wait time-out.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(mut run: GlobalRun) -> anyhow::Result<()> {
    let client = Arc::clone(&run.client);
    // A connection takes the value when it opens.
    let reconnect = || client.settings.cut_connections(Server::Database);
    let one_second = Change::DatabaseVariable("innodb_lock_wait_timeout", 1);
    let locks = async {
        reconnect().await?;
        lock_rows(&mut run, 4000).await
    };
    let result = client.settings.during(one_second, locks).await;
    reconnect().await?;
    result
}
