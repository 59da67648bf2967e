//! The secrets that carriers sign their callbacks with, by carrier. A new one comes beside the old one, which goes when the carrier has
//! taken the new one over. Environments that started before read the secret again when they meet a signature that they can't verify.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::{Context, bail, ensure};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::{
    carrier::receipt::ReceiptFormat,
    platform::{aws, backoff::BETWEEN_SECRETS, config::Env},
};
use tokio::sync::Mutex;

use crate::http::error::ApiError;

/// As many bytes as the hash has (RFC 2104, section 3).
const SECRET_BYTES: usize = 32;
/// Secrets of one carrier: the new one, the old one.
const MOST: usize = 2;

/// Where the secrets are.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// No carrier pushes.
    None,
    /// In the environment itself.
    Fixed(SecretString),
    /// In a secret, under this ARN.
    SecretArn(String),
}

/// The source: one of `CALLBACK_SECRETS` and `CALLBACK_SECRETS_ARN`, or neither.
pub fn secret_source(env: &mut Env) -> SecretSource {
    const SECRETS: &str = "CALLBACK_SECRETS";
    const ARN: &str = "CALLBACK_SECRETS_ARN";
    let problem = match (env.optional(SECRETS), env.optional(ARN)) {
        (None, None) => return SecretSource::None,
        (Some(secrets), None) => match Secrets::read(&secrets) {
            Ok(_) => return SecretSource::Fixed(secrets.into()),
            Err(error) => format!("is not as expected: {error}"),
        },
        (None, Some(arn)) if arn.starts_with("arn:") => return SecretSource::SecretArn(arn),
        (None, Some(_)) => format!("is missing, and {ARN} is not an ARN"),
        (Some(_), Some(_)) => format!("and {ARN} are both set; expected one of them"),
    };
    env.complain::<()>(SECRETS, problem);
    SecretSource::None
}

/// Each carrier's.
#[derive(Debug, Default)]
struct Secrets(HashMap<String, Vec<SecretString>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(SecretString),
    More(Vec<SecretString>),
}

impl Secrets {
    /// Reads `{"carrier": "secret"}` or `{"carrier": ["new", "old"]}`. No error shows a secret.
    fn read(json: &str) -> anyhow::Result<Self> {
        // The parser's own words may quote what it read.
        let Ok(read) = serde_json::from_str::<HashMap<String, OneOrMore>>(json) else {
            bail!(
                "expected JSON such as {{\"carrier\":\"secret\"}} or {{\"carrier\":[\"new\",\"old\"]}}"
            );
        };
        let mut secrets = HashMap::new();
        for (carrier, given) in read {
            let given = match given {
                OneOrMore::One(secret) => vec![secret],
                OneOrMore::More(secrets) => secrets,
            };
            let named = (1..=32).contains(&carrier.len())
                && carrier
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
            ensure!(
                named,
                "expected carriers' names of 1 to 32 characters: a-z, 0-9, -"
            );
            ensure!(
                (1..=MOST).contains(&given.len()),
                "{carrier}: expected one secret, or the new and the old one"
            );
            let long = given
                .iter()
                .all(|secret| secret.expose_secret().len() >= SECRET_BYTES);
            ensure!(long, "{carrier}: expected at least {SECRET_BYTES} bytes");
            secrets.insert(carrier, given);
        }
        Ok(Self(secrets))
    }
}

/// Reads the secret under an ARN.
type ReadSecret = Box<dyn Fn(String) -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// A call as the carrier signed it.
#[derive(Clone, Copy)]
pub struct SignedCall<'a> {
    /// The headers, with the signature.
    pub headers: &'a HeaderMap,
    /// The body as received.
    pub body: &'a [u8],
}

/// Verifies callbacks.
#[derive(Clone)]
pub struct Callbacks {
    inner: Arc<Inner>,
}

struct Inner {
    secrets: RwLock<Arc<Secrets>>,
    source: SecretSource,
    read_secret: ReadSecret,
    last_read: Mutex<Option<DateTime<Utc>>>,
}

impl Callbacks {
    /// Reads the secrets.
    pub async fn open(source: SecretSource) -> anyhow::Result<Self> {
        let read_secret = |arn: String| -> BoxFuture<'static, _> {
            Box::pin(async move { aws::read_secret(&arn).await })
        };
        Self::open_with(source, Box::new(read_secret)).await
    }

    async fn open_with(source: SecretSource, read_secret: ReadSecret) -> anyhow::Result<Self> {
        let secrets = match &source {
            SecretSource::None => Secrets::default(),
            SecretSource::Fixed(secrets) => {
                Secrets::read(secrets.expose_secret()).context("CALLBACK_SECRETS")?
            }
            SecretSource::SecretArn(arn) => read(arn, &read_secret).await?,
        };
        let secrets = RwLock::new(Arc::new(secrets));
        Ok(Self {
            inner: Arc::new(Inner {
                secrets,
                source,
                read_secret,
                last_read: Mutex::default(),
            }),
        })
    }

    /// Whether that carrier sent this body, now: 404 for one that has no secret here, 401 for what is not signed with it.
    pub async fn verify(
        &self,
        format: &dyn ReceiptFormat,
        carrier: &str,
        call: SignedCall<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let mut secrets = self.secrets();
        let mut fresh = false;
        if !secrets.0.contains_key(carrier) {
            fresh = self.read_again(now).await;
            secrets = self.secrets();
        }
        let Some(held) = secrets.0.get(carrier) else {
            return Err(ApiError::NotFound(
                "no carrier of this name sends callbacks".to_owned(),
            ));
        };
        let signed = format
            .signature(call.headers, now)
            .map_err(ApiError::BadSignature)?;
        if signed.is_by(held, call.body) {
            return Ok(());
        }
        if !fresh && self.read_again(now).await {
            let secrets = self.secrets();
            if secrets
                .0
                .get(carrier)
                .is_some_and(|held| signed.is_by(held, call.body))
            {
                return Ok(());
            }
        }
        Err(ApiError::BadSignature(
            "expected a signature made with the carrier's secret, over time stamp, full stop and body",
        ))
    }

    /// Takes the secrets as they are now, unless they were read a moment ago; true: they were taken. Anybody can make up a carrier or a
    /// signature, so this is bounded by time, and when it fails the old ones hold.
    async fn read_again(&self, now: DateTime<Utc>) -> bool {
        let SecretSource::SecretArn(arn) = &self.inner.source else {
            return false;
        };
        let mut last_read = self.inner.last_read.lock().await;
        if last_read.is_some_and(|last| (now - last).abs() < BETWEEN_SECRETS) {
            return false;
        }
        *last_read = Some(now);
        match read(arn, &self.inner.read_secret).await {
            Ok(secrets) => {
                *self
                    .inner
                    .secrets
                    .write()
                    .unwrap_or_else(PoisonError::into_inner) = Arc::new(secrets);
                true
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the secrets of callbacks can't be read again"
                );
                false
            }
        }
    }

    fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(
            &self
                .inner
                .secrets
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

async fn read(arn: &str, read_secret: &ReadSecret) -> anyhow::Result<Secrets> {
    let secrets = SecretString::from(read_secret(arn.to_owned()).await?);
    Secrets::read(secrets.expose_secret()).context("the secret of CALLBACK_SECRETS_ARN")
}

#[cfg(test)]
mod tests;
