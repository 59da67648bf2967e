//! Tokens of an outside OIDC issuer: Cognito, Auth0, Keycloak. A token comes in; out goes who it speaks of and with which
//! of our roles. The issuer is asked for its keys only: nothing is written, and a token may come as often as it likes.

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
    tokens::{Refused, named_key, signed_claims, unverified_issuer},
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
    /// Prepares it; connects to nothing yet.
    pub fn new(config: IssuerConfig) -> anyhow::Result<Self> {
        ring_provider::install();
        let documents = Documents::new(&config.issuer)?;
        Ok(Self {
            inner: Arc::new(Inner { config, documents }),
        })
    }

    /// Whether the token says that it is from here, which nobody has verified yet.
    pub fn owns(&self, token: &str) -> bool {
        unverified_issuer(token).is_some_and(|issuer| self.inner.config.is_issuer(&issuer))
    }

    /// Whom the token speaks of, if the issuer signed it for us and its time is now.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Outsider, Refused> {
        let (algorithm, kid) = named_key(token)?;
        // Before the issuer is asked for a key that it can't have.
        if !jwk::ALGORITHMS.contains(&algorithm) {
            return Err(Refused::Signature);
        }
        let keys = self.inner.documents.keys_with(&kid, now).await?;
        let named = keys
            .iter()
            .find(|key| key.kid == kid && key.algorithm == algorithm);
        // What a key is for is its own business, not the token's.
        let key = named.ok_or(Refused::Signature)?;
        let claims = signed_claims(token, &key.decoding, key.algorithm)?;
        claims::outsider(&claims, &self.inner.config, now.timestamp())
    }
}
