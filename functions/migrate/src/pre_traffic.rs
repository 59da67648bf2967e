//! The check that CodeDeploy runs before it moves invocations to a new version: the database has the
//! schema that this build needs. Otherwise the deployment ends, and the old version goes on.

use aws_sdk_codedeploy::types::LifecycleEventStatus;
use serde::{Deserialize, Serialize};
use shared::platform::{
    config::DatabaseSource,
    db::{connect_options, schema},
};
use sqlx::mysql::MySqlPoolOptions;

/// The event of a lifecycle hook of CodeDeploy.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HookEvent {
    /// The deployment.
    pub deployment_id: String,
    /// This execution of the hook, which waits for the result.
    pub lifecycle_event_hook_execution_id: String,
}

/// The result, which CodeDeploy gets too.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Whether the deployment goes on.
    pub succeeded: bool,
    /// Why it does not.
    pub problem: Option<String>,
}

/// Checks the schema, and reports the result to CodeDeploy. Fails if the report fails: the hook then
/// times out, and the deployment ends after an hour.
pub async fn handle(
    database: &DatabaseSource,
    codedeploy: &aws_sdk_codedeploy::Client,
    event: HookEvent,
) -> anyhow::Result<Checked> {
    let problem = check(database)
        .await
        .err()
        .map(|error| format!("{error:#}"));
    if let Some(problem) = &problem {
        tracing::error!(
            problem,
            deployment = event.deployment_id,
            "deployment refused"
        );
    }
    let succeeded = problem.is_none();
    let status = if succeeded {
        LifecycleEventStatus::Succeeded
    } else {
        LifecycleEventStatus::Failed
    };
    codedeploy
        .put_lifecycle_event_hook_execution_status()
        .deployment_id(event.deployment_id)
        .lifecycle_event_hook_execution_id(event.lifecycle_event_hook_execution_id)
        .status(status)
        .send()
        .await?;
    Ok(Checked { succeeded, problem })
}

async fn check(database: &DatabaseSource) -> anyhow::Result<()> {
    let options = connect_options(database).await?;
    let pool = MySqlPoolOptions::new().max_connections(1);
    schema::check(&pool.connect_with(options).await?).await
}
