//! The keys that sign the access tokens of this API.
//!
//! A new key is added at the front of the list, which makes it the signing key; the old one stays
//! behind it while its tokens are valid. A process that started before the rotation reads the keys
//! again when it receives a token with an unknown key. A process stops using a removed key when it
//! restarts or reads the keys again.

use anyhow::Context;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use shared::platform::{
    config::{Env, KeySource, NamedKey, read_keys},
    refreshing::Refreshing,
};
use uuid::Uuid;

use crate::auth::{
    ring_provider,
    tokens::{ACCESS_TOKEN, Claims, Refused, SMS, named_key, sign, verify},
};

/// Returns the source of the keys: exactly one of `JWT_KEYS` and `JWT_KEYS_SECRET_ARN`.
pub fn key_source(env: &mut Env) -> KeySource {
    env.key_source("JWT_KEYS", "JWT_KEYS_SECRET_ARN", |keys| {
        KeyRing::read(keys).map(drop)
    })
}

/// The keys: the first one signs, all of them verify.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<NamedKey>,
}

impl KeyRing {
    /// Reads the format that [`read_keys`] describes.
    pub fn read(json: &str) -> anyhow::Result<Self> {
        Ok(Self {
            keys: read_keys(json)?,
        })
    }

    fn issue(&self, claims: &Claims) -> anyhow::Result<String> {
        let first = self.keys.first().context("there is no key")?;
        sign(claims, &first.kid, first.key.expose_secret().as_bytes())
    }

    fn verify(&self, kid: &str, token: &str, now: DateTime<Utc>) -> Result<Claims, Refused> {
        let key = self
            .keys
            .iter()
            .find(|key| key.kid == kid)
            .ok_or(Refused::UnknownKey)?;
        verify(token, key.key.expose_secret().as_bytes(), now)
    }
}

/// Issues and verifies access tokens.
#[derive(Clone)]
pub struct SigningKeys {
    ring: Refreshing<KeyRing>,
}

impl SigningKeys {
    /// Reads the keys.
    pub async fn open(source: KeySource) -> anyhow::Result<Self> {
        let ring = Refreshing::open(source, KeyRing::read).await;
        Ok(Self::new(ring.context("the keys of access tokens")?))
    }

    pub(super) fn new(ring: Refreshing<KeyRing>) -> Self {
        ring_provider::install();
        Self { ring }
    }

    /// Issues a token for a session of a user, which is valid from now on for [`ACCESS_TOKEN`].
    pub fn issue(
        &self,
        user: Uuid,
        session: Uuid,
        role: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<String> {
        let issued_at = now.timestamp();
        self.ring.current().issue(&Claims {
            iss: SMS.to_owned(),
            aud: SMS.to_owned(),
            sub: user,
            sid: session,
            role: role.to_owned(),
            iat: issued_at,
            nbf: issued_at,
            exp: issued_at + ACCESS_TOKEN.num_seconds(),
        })
    }

    /// Returns the claims of a token if this API issued it and it is valid now.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, Refused> {
        let kid = named_key(token)?.kid;
        let ring = self.ring.current();
        match ring.verify(&kid, token, now) {
            Err(Refused::UnknownKey) => match self.ring.newer_than(&ring, now).await {
                Ok(Some(newer)) => newer.verify(&kid, token, now),
                Ok(None) => Err(Refused::UnknownKey),
                Err(error) => Err(Refused::Unavailable(format!("{error:#}"))),
            },
            verified => verified,
        }
    }
}
