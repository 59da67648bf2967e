//! The keys that our tokens are signed with. A new key comes in front of the list, which makes it the one that signs, and the old
//! one stays behind it for as long as its tokens live. Environments that started before take the new key when they meet it.
//!
//! A key that is taken out is forgotten by an environment when it starts anew, or reads the secret again.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use shared::platform::{
    aws,
    config::{Env, KeySource, NamedKey, read_keys},
};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::auth::ring_provider;
use crate::auth::tokens::{ACCESS_TOKEN, Claims, Refused, SMS, named_key, sign, verify};

/// Unknown keys may be anybody's invention: the secret is read again at most so often.
const BETWEEN_READS: TimeDelta = TimeDelta::minutes(1);

/// The source: exactly one of `JWT_KEYS` and `JWT_KEYS_SECRET_ARN`.
pub fn key_source(env: &mut Env) -> KeySource {
    env.key_source("JWT_KEYS", "JWT_KEYS_SECRET_ARN", |keys| {
        KeyRing::read(keys).map(drop)
    })
}

/// The keys: the first signs, all verify.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<NamedKey>,
}

impl KeyRing {
    /// As [`read_keys`] reads them.
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

/// Reads the secret under an ARN.
pub(super) type ReadSecret =
    Box<dyn Fn(String) -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// Issues tokens and verifies them.
#[derive(Clone)]
pub struct SigningKeys {
    inner: Arc<Inner>,
}

struct Inner {
    ring: RwLock<Arc<KeyRing>>,
    source: KeySource,
    read_secret: ReadSecret,
    last_read: Mutex<Option<DateTime<Utc>>>,
}

impl SigningKeys {
    /// Reads the keys.
    pub async fn open(source: KeySource) -> anyhow::Result<Self> {
        let read_secret = |arn: String| -> BoxFuture<'static, _> {
            Box::pin(async move { aws::read_secret(&arn).await })
        };
        Self::open_with(source, Box::new(read_secret)).await
    }

    pub(super) async fn open_with(
        source: KeySource,
        read_secret: ReadSecret,
    ) -> anyhow::Result<Self> {
        ring_provider::install();
        let ring = match &source {
            KeySource::Fixed(keys) => KeyRing::read(keys.expose_secret()).context("JWT_KEYS")?,
            KeySource::SecretArn(arn) => read_ring(arn, &read_secret).await?,
        };
        let ring = RwLock::new(Arc::new(ring));
        Ok(Self {
            inner: Arc::new(Inner {
                ring,
                source,
                read_secret,
                last_read: Mutex::default(),
            }),
        })
    }

    /// A token for this session, good from now on for [`ACCESS_TOKEN`].
    pub fn issue(
        &self,
        user: Uuid,
        session: Uuid,
        role: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<String> {
        let iat = now.timestamp();
        let (iss, aud) = (SMS.to_owned(), SMS.to_owned());
        let exp = iat + ACCESS_TOKEN.num_seconds();
        self.ring().issue(&Claims {
            iss,
            aud,
            sub: user,
            sid: session,
            role: role.to_owned(),
            iat,
            nbf: iat,
            exp,
        })
    }

    /// What the token says, if it is one of ours and its time is now.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, Refused> {
        let (_, kid) = named_key(token)?;
        match self.ring().verify(&kid, token, now) {
            Err(Refused::UnknownKey) => {
                self.read_again(now).await?;
                self.ring().verify(&kid, token, now)
            }
            verified => verified,
        }
    }

    /// Takes the keys as they are in the secret now, unless they were read a moment ago.
    async fn read_again(&self, now: DateTime<Utc>) -> Result<(), Refused> {
        let KeySource::SecretArn(arn) = &self.inner.source else {
            return Ok(());
        };
        let mut last_read = self.inner.last_read.lock().await;
        if last_read.is_some_and(|last| (now - last).abs() < BETWEEN_READS) {
            return Ok(());
        }
        *last_read = Some(now);
        match read_ring(arn, &self.inner.read_secret).await {
            Ok(ring) => {
                *self
                    .inner
                    .ring
                    .write()
                    .unwrap_or_else(PoisonError::into_inner) = Arc::new(ring)
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the keys of the tokens can't be read again"
                );
                return Err(Refused::Unavailable(format!("{error:#}")));
            }
        }
        Ok(())
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(
            &self
                .inner
                .ring
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

async fn read_ring(arn: &str, read_secret: &ReadSecret) -> anyhow::Result<KeyRing> {
    let keys = SecretString::from(read_secret(arn.to_owned()).await?);
    KeyRing::read(keys.expose_secret()).context("the secret of JWT_KEYS_SECRET_ARN")
}
