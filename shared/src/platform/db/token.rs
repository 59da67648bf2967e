//! A login by IAM: instead of a password, the server gets a token that the function signs.
//!
//! A token is a presigned URL without its scheme. RDS accepts it for 15 minutes, and only reads it
//! while a connection opens, which may then last for longer. To sign one takes no call: Lambda gives
//! the credentials of the role in environment variables. So each connection has a token of its own,
//! signed when the connection is about to be opened, and none has to be renewed.

#[cfg(test)]
mod fake_server;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use aws_sdk_secretsmanager::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

use super::login::verified_options;
use crate::platform::{aws, config::DatabaseAddress};

/// For how long a token is valid: the longest time that RDS accepts.
const VALID_FOR: Duration = Duration::from_secs(900);
/// The name of the service in a signature.
const SERVICE: &str = "rds-db";

/// A login by tokens.
pub(super) struct IamLogin {
    address: DatabaseAddress,
    region: String,
    credentials: SharedCredentialsProvider,
    options: fn(&DatabaseAddress) -> MySqlConnectOptions,
    now: fn() -> SystemTime,
}

impl IamLogin {
    /// Returns a login with the credentials of this function.
    pub(super) async fn open(address: DatabaseAddress) -> anyhow::Result<Self> {
        let config = aws::sdk_config().await;
        let region = config.region().context("AWS_REGION is missing")?;
        let credentials = config.credentials_provider();
        Ok(Self {
            address,
            region: region.to_string(),
            credentials: credentials.context("the function has no credentials")?,
            options: verified_options,
            now: SystemTime::now,
        })
    }

    /// Signs a token. Returns the options of a connection that is opened with it.
    pub(super) async fn options(&self) -> anyhow::Result<MySqlConnectOptions> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.context("reading the credentials of the function")?;
        let token = token(&self.address, &self.region, credentials, (self.now)())?;
        with_token((self.options)(&self.address), &token)
    }
}

/// Signs a token that is valid from `now`.
fn token(
    address: &DatabaseAddress,
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> anyhow::Result<SecretString> {
    let DatabaseAddress {
        host, port, user, ..
    } = address;
    let mut url = Url::parse(&format!("https://{host}:{port}/")).context("the database's host")?;
    url.query_pairs_mut()
        .append_pair("Action", "connect")
        .append_pair("DBUser", user);
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALID_FOR);
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let body = SignableBody::Bytes(&[]);
    let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), body)?;
    let (signed, _) = sign(request, &parameters)?.into_parts();
    for (name, value) in signed.params() {
        url.query_pairs_mut().append_pair(name, value);
    }
    let token = url.as_str().strip_prefix("https://");
    Ok(token.context("the token has no scheme")?.into())
}

/// Adds a token to the options of a connection.
///
/// It is sent as it is, and who receives it can log in with it for 15 minutes. So the server must
/// have proved its identity before.
fn with_token(
    options: MySqlConnectOptions,
    token: &SecretString,
) -> anyhow::Result<MySqlConnectOptions> {
    let mode = options.get_ssl_mode();
    ensure!(
        matches!(mode, MySqlSslMode::VerifyIdentity),
        "a token of IAM is only sent to a server that proves its identity: expected the TLS mode \
         VerifyIdentity, not {mode:?}"
    );
    let options = options.enable_cleartext_plugin(true);
    Ok(options.password(token.expose_secret()))
}
