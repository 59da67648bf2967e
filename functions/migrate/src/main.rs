//! Migrate: invoked by an operator or a deployment, with a database user of its own. The other
//! functions' user cannot change tables.
//!
//! `{}` brings the database to the newest schema, and grants the other functions' user (`APP_USER`)
//! what it needs. `{"admin": "ana"}` makes an administrator with a temporary password, which only
//! the answer contains. `{"stop_sending": …}`, `{"resume_sending": …}` and `{"restored": …}` are those
//! of [`migrate::sending`]. If it runs twice, the second run finds the schema up to date, or generates
//! another password. If it runs at the same time, one run waits for the other.
//!
//! With `PRE_TRAFFIC=true` the same binary is the hook of CodeDeploy ([`migrate::pre_traffic`]), with the
//! database user of the other functions.

use anyhow::{Context, bail};
use chrono::{TimeDelta, Utc};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use migrate::{
    audit_log,
    bootstrap::{TemporaryPassword, grant_changes, make_admin},
    config::{Config, is_pre_traffic},
    pre_traffic::{self, HookEvent},
    schema,
    sending::{self, BrakeRequest, Held, RestoredRequest, Sending},
};
use serde::{Deserialize, Serialize};
use shared::{
    access::{USERNAME, is_username},
    platform::{aws, config::Env, db::connect_options, logs, secret::random_text},
};
use sqlx::{ConnectOptions, Connection, MySqlConnection};

/// How long a temporary password works.
const TEMPORARY_PASSWORD: TimeDelta = TimeDelta::days(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The username of the administrator to make.
    admin: Option<String>,
    stop_sending: Option<BrakeRequest>,
    resume_sending: Option<BrakeRequest>,
    restored: Option<RestoredRequest>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Migrated {
        /// The migrations that are applied now.
        versions: Vec<i64>,
        /// The tables in which the other functions' user may change and delete rows.
        granted: Vec<String>,
    },
    Admin {
        username: String,
        temporary_password: String,
    },
    Sending(Sending),
    Held(Held),
}

async fn handle(config: &Config, request: Request) -> anyhow::Result<Answer> {
    let mut connection = connect_options(&config.database)
        .await?
        .connect()
        .await
        .context("connecting to the database")?;
    let now = Utc::now();
    let Request {
        admin,
        stop_sending,
        resume_sending,
        restored,
    } = request;
    let answer = match (admin, stop_sending, resume_sending, restored) {
        (None, None, None, None) => migrate(&mut connection, config.app_user.as_deref()).await?,
        (Some(username), None, None, None) => {
            make_administrator(&mut connection, username.to_ascii_lowercase()).await?
        }
        (None, Some(request), None, None) => {
            Answer::Sending(sending::stop(&mut connection, &request, now).await?)
        }
        (None, None, Some(request), None) => {
            Answer::Sending(sending::resume(&mut connection, &request, now).await?)
        }
        (None, None, None, Some(request)) => {
            Answer::Held(sending::hold_after_restore(&mut connection, &request, now).await?)
        }
        _ => bail!("expected one of admin, stop_sending, resume_sending, restored"),
    };
    connection.close().await.context("closing the connection")?;
    Ok(answer)
}

async fn migrate(
    connection: &mut MySqlConnection,
    app_user: Option<&str>,
) -> anyhow::Result<Answer> {
    let versions = schema::migrate(connection).await?;
    let granted = match app_user {
        Some(user) => grant_changes(connection, user)
            .await
            .with_context(|| format!("granting changes to {user}"))?,
        None => Vec::new(),
    };
    let cleaned = audit_log::clean(connection).await?;
    tracing::info!(versions = ?versions, cleaned, granted = granted.len(), "the schema is up to date");
    Ok(Answer::Migrated { versions, granted })
}

async fn make_administrator(
    connection: &mut MySqlConnection,
    username: String,
) -> anyhow::Result<Answer> {
    if !is_username(&username) {
        bail!("`admin` is `{username}`; expected {USERNAME}");
    }
    let temporary_password = random_text(20);
    let now = Utc::now();
    let temporary = TemporaryPassword {
        password: temporary_password.clone().into(),
        expires_at: now + TEMPORARY_PASSWORD,
    };
    // On an error the connection is closed, and the server rolls back.
    let mut transaction = connection.begin().await.context("starting a transaction")?;
    make_admin(&mut transaction, &username, temporary, now).await?;
    transaction.commit().await.context("committing")?;
    tracing::warn!(username, "an administrator was made");
    Ok(Answer::Admin {
        username,
        temporary_password,
    })
}

/// Serves the hook of CodeDeploy.
async fn run_pre_traffic(mut env: Env) -> Result<(), Error> {
    let database = env.app_database();
    let database = &env.finish(database)?;
    let codedeploy = &aws_sdk_codedeploy::Client::new(aws::sdk_config().await);
    lambda_runtime::run(service_fn(|event: LambdaEvent<HookEvent>| async move {
        let checked = pre_traffic::handle(database, codedeploy, event.payload).await;
        Ok::<_, Error>(checked?)
    }))
    .await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::init();
    let mut env = Env::from_process();
    if is_pre_traffic(&mut env) {
        return run_pre_traffic(env).await;
    }
    let config = Config::read(&mut env);
    let config = &env.finish(config)?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Request>| async move {
        Ok::<_, Error>(handle(config, event.payload).await?)
    }))
    .await
}
