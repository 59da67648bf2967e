//! The functions' database user is an ordinary one, so that `read_only` applies to it.

use std::time::Duration;

use sqlx::{MySqlPool, Row};

use crate::stack::{Fault, GlobalRun, Injection, faults::common::until_sending, settings::Change};

pub const FAULT: Fault = Fault {
    name: "database-read-only",
    description: "A failover: the database is read-only for four seconds, and every connection \
                  is killed.",
    recipients: 600,
    lead_s: 4,
    max_uncertain: None,
    injection: Injection::Global(|run| Box::pin(inject(run))),
};

async fn inject(run: GlobalRun) -> anyhow::Result<()> {
    until_sending(&run).await;
    let read_only = Change::DatabaseVariable("read_only", 1);
    let failover = async {
        kill_connections(&run.client.pool).await?;
        tokio::time::sleep(Duration::from_secs(4)).await;
        Ok(())
    };
    run.client.settings.during(read_only, failover).await
}

async fn kill_connections(pool: &MySqlPool) -> sqlx::Result<()> {
    let connections = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'sms_app'";
    for connection in sqlx::query(connections).fetch_all(pool).await? {
        let id: i64 = connection
            .try_get::<i64, _>(0)
            .or_else(|_| connection.try_get::<u64, _>(0).map(|id| id as i64))?;
        // Fails if the connection has ended meanwhile.
        let _ = sqlx::raw_sql(&format!("KILL {id}")).execute(pool).await;
    }
    Ok(())
}
