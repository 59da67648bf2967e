//! Migrate: what is done by hand, or by a deployment, with a database user of its own; the other functions' user can't change tables.
//!
//! `{}` brings the database to the newest schema, and gives the other functions' user what it needs (`APP_USER`). `{"admin": "ana"}` makes
//! an admin with a temporary password, which is in the answer and nowhere else. Run twice, the second run finds the schema there, and
//! makes another password; at once, one waits for the other.

use anyhow::{Context, bail};
use chrono::{TimeDelta, Utc};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use migrate::bootstrap::{grant_changes, make_admin};
use serde::{Deserialize, Serialize};
use shared::{
    access::{USERNAME, is_username},
    platform::{
        config::{DatabaseSource, Env},
        db::{MIGRATOR, connect_options},
        secret::random_text,
    },
};
use sqlx::{ConnectOptions, Connection, MySqlConnection};

/// A temporary password is good for so long.
const TEMPORARY: TimeDelta = TimeDelta::days(1);

struct Config {
    database: DatabaseSource,
    app_user: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// A username.
    admin: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Migrated {
        /// Versions in the database now.
        versions: Vec<i64>,
        /// Tables in which the other functions' user may change rows.
        granted: Vec<String>,
    },
    Admin {
        username: String,
        temporary_password: String,
    },
}

async fn handle(config: &Config, request: Request) -> anyhow::Result<Answer> {
    let mut connection = connect_options(&config.database)
        .await?
        .connect()
        .await
        .context("connecting to the database")?;
    let answer = match request.admin {
        Some(username) => admin(&mut connection, username.to_ascii_lowercase()).await?,
        None => migrate(&mut connection, config.app_user.as_deref()).await?,
    };
    connection.close().await.context("closing the connection")?;
    Ok(answer)
}

async fn migrate(
    connection: &mut MySqlConnection,
    app_user: Option<&str>,
) -> anyhow::Result<Answer> {
    MIGRATOR.run(&mut *connection).await.context("migrating")?;
    let versions =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version");
    let versions = versions
        .fetch_all(&mut *connection)
        .await
        .context("reading what is applied")?;
    let granted = match app_user {
        Some(user) => grant_changes(connection, user)
            .await
            .with_context(|| format!("granting changes to {user}"))?,
        None => Vec::new(),
    };
    tracing::info!(versions = ?versions, granted = granted.len(), "the schema is up to date");
    Ok(Answer::Migrated { versions, granted })
}

async fn admin(connection: &mut MySqlConnection, username: String) -> anyhow::Result<Answer> {
    if !is_username(&username) {
        bail!("`admin` is `{username}`; expected {USERNAME}");
    }
    let temporary_password = random_text(20);
    let mut transaction = connection.begin().await.context("beginning")?;
    make_admin(
        &mut transaction,
        &username,
        temporary_password.clone().into(),
        (Utc::now(), TEMPORARY),
    )
    .await?;
    transaction.commit().await.context("committing")?;
    tracing::warn!(username, "an admin was made");
    Ok(Answer::Admin {
        username,
        temporary_password,
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let mut env = Env::from_process();
    let config = Config {
        database: env.database("MIGRATION_DATABASE_URL", "MIGRATION_SECRET_ARN"),
        app_user: env.optional("APP_USER"),
    };
    let config = &env.finish(config)?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Request>| async move {
        Ok::<_, Error>(handle(config, event.payload).await?)
    }))
    .await
}
