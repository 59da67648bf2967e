//! The secrets with which carriers sign their callbacks, by carrier. During a rotation the new
//! secret and the old one are valid, until the carrier uses the new one. A process that started
//! before the rotation reads the secrets again when it cannot verify a signature.

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::{
    carrier::receipt::ReceiptFormat,
    platform::{
        config::{Env, KeySource},
        refreshing::Refreshing,
    },
};

use crate::http::error::ApiError;

/// Bytes of a secret, at least: as many as the hash has (RFC 2104, section 3).
const SECRET_BYTES: usize = 32;
/// Secrets of one carrier, at most: the new one and the old one.
const MOST: usize = 2;

/// Returns the source of the secrets: one of `CALLBACK_SECRETS` and `CALLBACK_SECRETS_ARN`; `None`
/// if neither is set, since no carrier pushes receipts then.
pub fn secret_source(env: &mut Env) -> Option<KeySource> {
    const SECRETS: &str = "CALLBACK_SECRETS";
    const ARN: &str = "CALLBACK_SECRETS_ARN";
    let secrets = env.optional(SECRETS, "secrets as JSON, {carrier: secret}");
    let arn = env.optional(ARN, "the ARN of a secret with them");
    if secrets.is_none() && arn.is_none() {
        return None;
    }
    Some(env.key_source(SECRETS, ARN, |secrets| Secrets::read(secrets).map(drop)))
}

/// The secrets of each carrier.
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
        // An error of the parser may quote its input.
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
    secrets: Option<Refreshing<Secrets>>,
}

impl Callbacks {
    /// Reads the secrets. `None`: no carrier pushes receipts.
    pub async fn open(source: Option<KeySource>) -> anyhow::Result<Self> {
        let Some(source) = source else {
            return Ok(Self { secrets: None });
        };
        let secrets = Refreshing::open(source, Secrets::read).await;
        let secrets = Some(secrets.context("the secrets of callbacks")?);
        Ok(Self { secrets })
    }

    /// Verifies that the carrier sent this body, now. Fails with 404 for a carrier without a
    /// secret, and with 401 for a body that is not signed with its secret.
    ///
    /// If the secrets cannot be read again, the previous ones stay valid.
    pub async fn verify(
        &self,
        format: &dyn ReceiptFormat,
        carrier: &str,
        call: SignedCall<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let unknown = || ApiError::NotFound("no carrier of this name sends callbacks".to_owned());
        let source = self.secrets.as_ref().ok_or_else(unknown)?;
        let mut secrets = source.current();
        if !secrets.0.contains_key(carrier)
            && let Ok(Some(newer)) = source.newer_than(&secrets, now).await
        {
            secrets = newer;
        }
        let own = secrets.0.get(carrier).ok_or_else(unknown)?;
        let signed = format
            .signature(call.headers, now)
            .map_err(ApiError::BadSignature)?;
        if signed.is_by(own, call.body) {
            return Ok(());
        }
        if let Ok(Some(newer)) = source.newer_than(&secrets, now).await
            && newer
                .0
                .get(carrier)
                .is_some_and(|own| signed.is_by(own, call.body))
        {
            return Ok(());
        }
        Err(ApiError::BadSignature(
            "expected a signature with the carrier's secret over timestamp, full stop and body",
        ))
    }
}

#[cfg(test)]
mod tests;
