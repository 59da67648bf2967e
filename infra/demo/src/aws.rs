//! AWS clients for the running stack's emulator, for tests that change queues and schedules without
//! the functions.

use anyhow::Context;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::Builder;

use crate::stack::Stack;

/// The header `Authorization` of requests that no SDK signs: the key of the emulator's
/// administrator, whose signature it does not verify. A request without a key is refused by an
/// emulator that evaluates IAM policies (`AUTH=1`).
pub const ADMINISTRATOR: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0";

fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "the emulator accepts any")
}

/// Creates a client of the stack's SQS.
pub fn sqs(stack: &Stack) -> anyhow::Result<aws_sdk_sqs::Client> {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(stack.value("AWS_REGION")?.to_owned()))
        .endpoint_url(stack.value("AWS_ENDPOINT_URL")?)
        .credentials_provider(credentials())
        .http_client(Builder::new().build_http());
    Ok(aws_sdk_sqs::Client::from_conf(config.build()))
}

/// Creates a client of the stack's EventBridge Scheduler.
pub fn scheduler(stack: &Stack) -> anyhow::Result<aws_sdk_scheduler::Client> {
    let config = aws_sdk_scheduler::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(stack.value("AWS_REGION")?.to_owned()))
        .endpoint_url(stack.value("AWS_ENDPOINT_URL")?)
        .credentials_provider(credentials())
        .http_client(Builder::new().build_http());
    Ok(aws_sdk_scheduler::Client::from_conf(config.build()))
}

/// Invokes a function and waits for its response. It doesn't use Lambda's SDK, which would take
/// another half minute to compile, for a single call.
pub async fn invoke(
    stack: &Stack,
    http: &reqwest::Client,
    function: &str,
    event: &serde_json::Value,
) -> anyhow::Result<()> {
    let (endpoint, name) = (
        stack.value("AWS_ENDPOINT_URL")?,
        stack.value(&format!("{function}_FUNCTION"))?,
    );
    let call = http
        .post(format!(
            "{endpoint}/2015-03-31/functions/{name}/invocations"
        ))
        .header("authorization", ADMINISTRATOR)
        .json(event);
    let answer = call
        .send()
        .await
        .context("invoking a function")?
        .error_for_status()
        .context("invoking a function")?;
    let failed = answer.headers().contains_key("x-amz-function-error");
    let body = answer
        .text()
        .await
        .context("reading a function's response")?;
    anyhow::ensure!(!failed, "{function} failed: {body}");
    Ok(())
}
