//! Where the keys are that webhooks' secrets are made of, and that a new one is met without a restart: an environment that finds a
//! webhook of a key that it does not know reads the secret again.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::events::secret::{Secret, WebhookKeys};
use crate::platform::{
    aws,
    backoff::BETWEEN_KEY_READS,
    config::{Env, KeySource},
};

/// The source: exactly one of `WEBHOOK_KEYS` and `WEBHOOK_KEYS_SECRET_ARN`.
pub fn key_source(env: &mut Env) -> KeySource {
    env.key_source("WEBHOOK_KEYS", "WEBHOOK_KEYS_SECRET_ARN", |keys| {
        WebhookKeys::read(keys).map(drop)
    })
}

/// Reads the secret under an ARN.
type ReadSecret = Box<dyn Fn(String) -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// The keys, as one process has read them.
#[derive(Clone)]
pub struct SharedKeys {
    inner: Arc<Inner>,
}

struct Inner {
    keys: RwLock<Arc<WebhookKeys>>,
    source: KeySource,
    read_secret: ReadSecret,
    last_read: Mutex<Option<DateTime<Utc>>>,
}

impl SharedKeys {
    /// Reads the keys.
    pub async fn open(source: KeySource) -> anyhow::Result<Self> {
        let read_secret = |arn: String| -> BoxFuture<'static, _> {
            Box::pin(async move { aws::read_secret(&arn).await })
        };
        Self::open_with(source, Box::new(read_secret)).await
    }

    async fn open_with(source: KeySource, read_secret: ReadSecret) -> anyhow::Result<Self> {
        let keys = RwLock::new(Arc::new(read(&source, &read_secret).await?));
        Ok(Self {
            inner: Arc::new(Inner {
                keys,
                source,
                read_secret,
                last_read: Mutex::default(),
            }),
        })
    }

    /// The keys as they were read last.
    pub fn current(&self) -> Arc<WebhookKeys> {
        Arc::clone(
            &self
                .inner
                .keys
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The secret of a webhook: of its key, its id, and how often it was rotated. `None`: the key is gone. An error: it may be a new
    /// one, and the keys can't be read again just now.
    pub async fn secret(
        &self,
        kid: &str,
        (webhook, secret_no): (Uuid, u32),
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<Secret>> {
        if let Some(secret) = self.current().secret(kid, webhook, secret_no) {
            return Ok(Some(secret));
        }
        self.read_again(now).await?;
        Ok(self.current().secret(kid, webhook, secret_no))
    }

    /// Takes the keys as they are in the secret now, unless they were read a moment ago.
    async fn read_again(&self, now: DateTime<Utc>) -> anyhow::Result<()> {
        let KeySource::SecretArn(_) = &self.inner.source else {
            return Ok(());
        };
        let mut last_read = self.inner.last_read.lock().await;
        if last_read.is_some_and(|last| (now - last).abs() < BETWEEN_KEY_READS) {
            return Ok(());
        }
        let keys = Arc::new(read(&self.inner.source, &self.inner.read_secret).await?);
        *last_read = Some(now);
        *self
            .inner
            .keys
            .write()
            .unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

async fn read(source: &KeySource, read_secret: &ReadSecret) -> anyhow::Result<WebhookKeys> {
    match source {
        KeySource::Fixed(keys) => WebhookKeys::read(keys.expose_secret()).context("WEBHOOK_KEYS"),
        KeySource::SecretArn(arn) => {
            let keys = secrecy::SecretString::from(read_secret(arn.clone()).await?);
            WebhookKeys::read(keys.expose_secret()).context("the secret of WEBHOOK_KEYS_SECRET_ARN")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn an_unknown_key_has_the_secret_read_again_at_most_once_a_minute() {
        static READS: AtomicUsize = AtomicUsize::new(0);
        let read: ReadSecret = Box::new(|_| {
            let kid = if READS.fetch_add(1, Ordering::Relaxed) == 0 {
                "old"
            } else {
                "new"
            };
            Box::pin(async move { Ok(format!(r#"{{"kid":"{kid}","key":"{}"}}"#, "k".repeat(32))) })
        });
        let keys = SharedKeys::open_with(KeySource::SecretArn("arn:x".into()), read)
            .await
            .unwrap();
        let (id, now) = (Uuid::now_v7(), Utc::now());
        assert!(keys.secret("old", (id, 1), now).await.unwrap().is_some());
        assert_eq!(READS.load(Ordering::Relaxed), 1);
        assert!(keys.secret("new", (id, 1), now).await.unwrap().is_some());
        for _ in 0..3 {
            assert!(keys.secret("old", (id, 1), now).await.unwrap().is_none());
        }
        assert_eq!(READS.load(Ordering::Relaxed), 2);
        assert!(
            keys.secret("old", (id, 1), now + BETWEEN_KEY_READS)
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(READS.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn exactly_one_source_of_keys_is_taken() {
        let good = format!(r#"{{"kid":"a","key":"{}"}}"#, "k".repeat(32));
        let read = |pairs: &[(&str, &str)]| {
            let mut env = Env::from_pairs(pairs.iter().copied());
            let source = key_source(&mut env);
            env.finish(source)
        };
        assert!(matches!(
            read(&[("WEBHOOK_KEYS", &good)]),
            Ok(KeySource::Fixed(_))
        ));
        assert!(matches!(
            read(&[("WEBHOOK_KEYS_SECRET_ARN", "arn:aws:x")]),
            Ok(KeySource::SecretArn(_))
        ));
        for (given, expected) in [
            (vec![], "WEBHOOK_KEYS is missing"),
            (
                vec![("WEBHOOK_KEYS", "short")],
                "WEBHOOK_KEYS is not as expected",
            ),
            (
                vec![
                    ("WEBHOOK_KEYS", good.as_str()),
                    ("WEBHOOK_KEYS_SECRET_ARN", "arn:aws:x"),
                ],
                "both set",
            ),
        ] {
            let error = read(&given).unwrap_err().to_string();
            assert!(
                error.contains(expected) && !error.contains("short"),
                "{error}"
            );
        }
    }
}
