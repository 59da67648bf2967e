//! The configuration of the AWS SDK, the same for each client: region and credentials from the
//! environment that Lambda sets, and an HTTP client with ring as its only TLS provider.

use anyhow::Context;
use aws_config::SdkConfig;
use aws_smithy_http_client::{Builder, tls};
use tokio::sync::OnceCell;

/// Read once per environment: clients share the connections and the credentials.
static CONFIG: OnceCell<SdkConfig> = OnceCell::const_new();

/// Reads region, credentials and endpoint as the SDK documents them (`AWS_REGION`,
/// `AWS_ENDPOINT_URL` and so on).
pub async fn sdk_config() -> &'static SdkConfig {
    CONFIG.get_or_init(load).await
}

async fn load() -> SdkConfig {
    let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let client = Builder::new().tls_provider(ring).build_https();
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(client)
        .load()
        .await
}

/// Reads the string of a secret from Secrets Manager.
pub async fn read_secret(arn: &str) -> anyhow::Result<String> {
    let client = aws_sdk_secretsmanager::Client::new(sdk_config().await);
    let secret = client
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .context("reading the secret")?;
    secret
        .secret_string
        .context("the secret contains no string")
}
