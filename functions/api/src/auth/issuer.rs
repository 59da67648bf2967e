//! Verifies tokens of an outside OIDC issuer, such as Cognito, Auth0 or Keycloak, and returns the
//! caller and its role in this API. The issuer is asked for its keys only. Nothing is written, and
//! a token may be used any number of times.

mod access_token;
mod claims;
mod config;
mod documents;
mod jwk;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use claims::Outsider;
pub use config::IssuerConfig;

use crate::auth::issuer::documents::Documents;
use crate::auth::{
    ring_provider,
    tokens::{Refused, TokenHeader, named_key, signed_claims, unverified_issuer},
};

/// Verifies the tokens of one issuer. Clones share the keys.
#[derive(Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
}

struct Inner {
    config: IssuerConfig,
    documents: Documents,
}

impl Issuer {
    /// Returns a verifier; it connects to the issuer when it verifies the first token.
    pub fn new(config: IssuerConfig) -> anyhow::Result<Self> {
        ring_provider::install();
        let documents = Documents::new(&config.issuer)?;
        Ok(Self {
            inner: Arc::new(Inner { config, documents }),
        })
    }

    /// Returns its address, as tokens name it.
    pub fn url(&self) -> &str {
        &self.inner.config.issuer
    }

    /// Returns whether the token names this issuer; this is not verified yet.
    pub fn owns(&self, token: &str) -> bool {
        unverified_issuer(token).is_some_and(|issuer| self.inner.config.is_issuer(&issuer))
    }

    /// Returns the caller if the issuer signed the token for this API and it is valid now.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Outsider, Refused> {
        let TokenHeader {
            algorithm,
            kid,
            token_type,
        } = named_key(token)?;
        // An issuer has no key for another algorithm: do not ask for it.
        if !jwk::ALGORITHMS.contains(&algorithm) {
            return Err(Refused::Signature);
        }
        let keys = self.inner.documents.keys_with(&kid, now).await?;
        let named = keys
            .iter()
            .find(|key| key.kid == kid && key.algorithm == algorithm);
        // The key determines the algorithm, not the token.
        let key = named.ok_or(Refused::Signature)?;
        let claims = signed_claims(token, &key.decoding, key.algorithm)?;
        let outsider = claims::outsider(&claims, &self.inner.config, now.timestamp())?;
        access_token::check(&claims, token_type.as_deref())?;
        Ok(outsider)
    }
}
