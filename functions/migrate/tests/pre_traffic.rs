//! The hook of CodeDeploy, against a fake of its API.
#![allow(missing_docs, clippy::unwrap_used)]

use aws_sdk_codedeploy::config::{Credentials, Region, SharedCredentialsProvider};
use migrate::pre_traffic::{Checked, HookEvent, handle};
use serde_json::{Value, json};
use shared::platform::{aws::sdk_config, config::DatabaseSource, db::schema::NEEDED_VERSION};
use sqlx::{ConnectOptions, MySqlPool};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::header};

async fn client(server: &MockServer) -> aws_sdk_codedeploy::Client {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = sdk_config().await.clone().into_builder();
    let config = config
        .endpoint_url(server.uri())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    aws_sdk_codedeploy::Client::new(&config.build())
}

/// Runs the hook, and returns its result and what CodeDeploy has got.
async fn run(pool: &MySqlPool) -> (Checked, Value) {
    let server = MockServer::start().await;
    let target = "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus";
    Mock::given(header("x-amz-target", target))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({})))
        .expect(1)
        .mount(&server)
        .await;
    let url = pool.connect_options().to_url_lossy().to_string();
    let event = json!({"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"});
    let event: HookEvent = serde_json::from_value(event).unwrap();
    let source = DatabaseSource::Url(url.into());
    let checked = handle(&source, &client(&server).await, event)
        .await
        .unwrap();
    let requests = server.received_requests().await.unwrap();
    (checked, serde_json::from_slice(&requests[0].body).unwrap())
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_deployment_goes_on_if_the_schema_is_new_enough(pool: MySqlPool) {
    let (checked, reported) = run(&pool).await;
    assert!(checked.succeeded && checked.problem.is_none());
    let expected = json!({"deploymentId": "d-1", "lifecycleEventHookExecutionId": "e-1", "status": "Succeeded"});
    assert_eq!(reported, expected);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_deployment_ends_if_the_schema_is_too_old(pool: MySqlPool) {
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = ?")
        .bind(NEEDED_VERSION)
        .execute(&pool)
        .await
        .unwrap();
    let (checked, reported) = run(&pool).await;
    assert!(!checked.succeeded);
    assert!(checked.problem.unwrap().contains("invoke migrate"));
    assert_eq!(reported["status"], "Failed");
}
