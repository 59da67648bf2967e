//! The keys from which the secrets of webhooks are derived. A process that finds a webhook with an
//! unknown key reads the keys again, so that a new key needs no restart.

use anyhow::Context;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use uuid::Uuid;

use crate::{
    events::secret::{Secret, WebhookKeys},
    platform::{
        config::{Env, KeySource},
        refreshing::Refreshing,
    },
};

/// Returns the source of the keys: exactly one of `WEBHOOK_KEYS` and `WEBHOOK_KEYS_SECRET_ARN`.
pub fn key_source(env: &mut Env) -> KeySource {
    env.key_source("WEBHOOK_KEYS", "WEBHOOK_KEYS_SECRET_ARN", |keys| {
        WebhookKeys::read(keys).map(drop)
    })
}

/// The keys, shared by all tasks of the process.
#[derive(Clone)]
pub struct SharedKeys {
    keys: Refreshing<WebhookKeys>,
}

impl SharedKeys {
    /// Reads the keys.
    pub async fn open(source: KeySource) -> anyhow::Result<Self> {
        let keys = Refreshing::open(source, WebhookKeys::read).await;
        Ok(Self {
            keys: keys.context("the keys of webhooks")?,
        })
    }

    /// Returns the keys that were read last.
    pub fn current(&self) -> Arc<WebhookKeys> {
        self.keys.current()
    }

    /// Returns the secret of a webhook: derived from its key, its id, and the number of its rotations.
    /// `None`: the key does not exist. An error: the key is unknown and may be new, but the keys
    /// cannot be read again at the moment.
    pub async fn secret(
        &self,
        kid: &str,
        webhook: Uuid,
        secret_no: u32,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<Secret>> {
        let keys = self.keys.current();
        if let Some(secret) = keys.secret(kid, webhook, secret_no) {
            return Ok(Some(secret));
        }
        let newer = self.keys.newer_than(&keys, now).await?;
        Ok(newer.and_then(|keys| keys.secret(kid, webhook, secret_no)))
    }

    /// Returns the secret of a person's second factor, like [`SharedKeys::secret`].
    pub async fn second_factor(
        &self,
        kid: &str,
        factor: Uuid,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let keys = self.keys.current();
        if let Some(secret) = keys.second_factor(kid, factor) {
            return Ok(Some(secret));
        }
        let newer = self.keys.newer_than(&keys, now).await?;
        Ok(newer.and_then(|keys| keys.second_factor(kid, factor)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::platform::refreshing::{BETWEEN_READS, ReadSecret};

    use super::*;

    #[tokio::test]
    async fn an_unknown_key_causes_at_most_one_read_per_minute() {
        static READS: AtomicUsize = AtomicUsize::new(0);
        let read: ReadSecret = Box::new(|_| {
            let kid = if READS.fetch_add(1, Ordering::Relaxed) == 0 {
                "old"
            } else {
                "new"
            };
            Box::pin(async move { Ok(format!(r#"{{"kid":"{kid}","key":"{}"}}"#, "k".repeat(32))) })
        });
        let source = KeySource::SecretArn("arn:x".into());
        let keys = Refreshing::open_with(source, WebhookKeys::read, read)
            .await
            .map(|keys| SharedKeys { keys })
            .unwrap();
        let (id, now) = (Uuid::now_v7(), Utc::now());
        assert!(keys.secret("old", id, 1, now).await.unwrap().is_some());
        assert_eq!(READS.load(Ordering::Relaxed), 1);
        assert!(keys.secret("new", id, 1, now).await.unwrap().is_some());
        for _ in 0..3 {
            assert!(keys.secret("old", id, 1, now).await.unwrap().is_none());
        }
        assert_eq!(READS.load(Ordering::Relaxed), 2);
        assert!(
            keys.secret("old", id, 1, now + BETWEEN_READS)
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(READS.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn exactly_one_source_of_keys_is_accepted() {
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
