//! Migrate: brings the database to the newest schema, with a user of its own; the other functions' user can't change tables.
//!
//! Invoked by hand or by a deployment; out goes a list of what is applied. Run twice, the second run finds nothing to do; at once,
//! one waits for the other.

use anyhow::Context;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use shared::{
    config::{DatabaseSource, Env},
    db::{MIGRATOR, connect_options},
};
use sqlx::{ConnectOptions, Connection};

#[derive(Serialize)]
struct Migrated {
    /// Versions in the database now.
    versions: Vec<i64>,
}

async fn migrate(source: &DatabaseSource) -> anyhow::Result<Migrated> {
    let mut connection = connect_options(source).await?.connect().await.context("connecting to the database")?;
    MIGRATOR.run(&mut connection).await.context("migrating")?;
    let versions = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version");
    let versions = versions.fetch_all(&mut connection).await.context("reading what is applied")?;
    connection.close().await.context("closing the connection")?;
    tracing::info!(versions = ?versions, "the schema is up to date");
    Ok(Migrated { versions })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let mut env = Env::from_process();
    let source = env.database("MIGRATION_DATABASE_URL", "MIGRATION_SECRET_ARN");
    let source = &env.finish(source)?;
    let handle = |_: LambdaEvent<serde_json::Value>| async move { Ok::<_, Error>(migrate(source).await?) };
    lambda_runtime::run(service_fn(handle)).await
}
