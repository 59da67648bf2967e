//! Where the keys of the webhooks' secrets are. Environments that started before a new key take it when they meet it; one that is taken
//! out is forgotten by an environment when it starts anew, or reads the secret again.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::secret::{Secret, WebhookKeys};
use crate::{aws, config::Env};

const KEYS: &str = "WEBHOOK_KEYS";
const ARN: &str = "WEBHOOK_KEYS_SECRET_ARN";

/// A key that is gone is asked for again and again: the secret is read again at most so often.
const BETWEEN_READS: TimeDelta = TimeDelta::minutes(1);

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In the environment itself.
    Fixed(SecretString),
    /// In a secret, under this ARN.
    SecretArn(String),
}

impl KeySource {
    /// The source: exactly one of `WEBHOOK_KEYS` and `WEBHOOK_KEYS_SECRET_ARN`.
    pub fn from_env(env: &mut Env) -> Self {
        let problem = match (env.optional(KEYS), env.optional(ARN)) {
            (Some(keys), None) => match WebhookKeys::read(&keys) {
                Ok(_) => return Self::Fixed(keys.into()),
                Err(error) => format!("is not as expected: {error}"),
            },
            (None, Some(arn)) if arn.starts_with("arn:") => return Self::SecretArn(arn),
            (None, Some(_)) => format!("is missing, and {ARN} is not an ARN"),
            (Some(_), Some(_)) => format!("and {ARN} are both set; expected one of them"),
            (None, None) => format!("is missing; expected it, or {ARN}"),
        };
        env.complain::<()>(KEYS, problem);
        Self::Fixed(String::new().into())
    }
}

/// Reads the secret under an ARN.
type ReadSecret = Box<dyn Fn(String) -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// The keys as this environment knows them.
#[derive(Clone)]
pub struct OpenKeys {
    inner: Arc<Inner>,
}

struct Inner {
    keys: RwLock<Arc<WebhookKeys>>,
    source: KeySource,
    read_secret: ReadSecret,
    last_read: Mutex<Option<DateTime<Utc>>>,
}

impl OpenKeys {
    /// Reads the keys.
    pub async fn open(source: KeySource) -> anyhow::Result<Self> {
        let read_secret = |arn: String| -> BoxFuture<'static, _> { Box::pin(async move { aws::read_secret(&arn).await }) };
        Self::open_with(source, Box::new(read_secret)).await
    }

    async fn open_with(source: KeySource, read_secret: ReadSecret) -> anyhow::Result<Self> {
        let keys = match &source {
            KeySource::Fixed(keys) => WebhookKeys::read(keys.expose_secret()).context(KEYS)?,
            KeySource::SecretArn(arn) => read_keys(arn, &read_secret).await?,
        };
        let keys = RwLock::new(Arc::new(keys));
        Ok(Self { inner: Arc::new(Inner { keys, source, read_secret, last_read: Mutex::default() }) })
    }

    /// The id of the key that new webhooks are given.
    pub fn newest(&self) -> String {
        self.keys().newest().to_owned()
    }

    /// [`WebhookKeys::secret`]; where the key is not known, of the keys as they are in the secret now. `None`: the key is gone. An error:
    /// they can't be read, so nobody knows.
    pub async fn secret(&self, kid: &str, webhook: Uuid, secret_no: u32, now: DateTime<Utc>) -> anyhow::Result<Option<Secret>> {
        if let Some(secret) = self.keys().secret(kid, webhook, secret_no) {
            return Ok(Some(secret));
        }
        self.read_again(now).await?;
        Ok(self.keys().secret(kid, webhook, secret_no))
    }

    /// Takes the keys as they are in the secret now, unless they were read a moment ago.
    async fn read_again(&self, now: DateTime<Utc>) -> anyhow::Result<()> {
        let KeySource::SecretArn(arn) = &self.inner.source else { return Ok(()) };
        let mut last_read = self.inner.last_read.lock().await;
        if last_read.is_some_and(|last| (now - last).abs() < BETWEEN_READS) {
            return Ok(());
        }
        let keys = read_keys(arn, &self.inner.read_secret).await?;
        *last_read = Some(now);
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn keys(&self) -> Arc<WebhookKeys> {
        Arc::clone(&self.inner.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn read_keys(arn: &str, read_secret: &ReadSecret) -> anyhow::Result<WebhookKeys> {
    let keys = SecretString::from(read_secret(arn.to_owned()).await.context(ARN)?);
    WebhookKeys::read(keys.expose_secret()).context(ARN)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn key(kid: &str) -> String {
        format!(r#"{{"kid":"{kid}","key":"{}"}}"#, kid.repeat(32))
    }

    #[test]
    fn the_keys_have_exactly_one_source() {
        let problem = |pairs: &[(&str, &str)]| {
            let mut env = Env::from_pairs(pairs.iter().copied());
            KeySource::from_env(&mut env);
            env.finish(()).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let arn = (ARN, "arn:aws:secretsmanager:eu-central-1:1:secret:x");
        let keys = key("a");
        assert_eq!((problem(&[(KEYS, &keys)]), problem(&[arn])), (String::new(), String::new()));
        for (pairs, expected) in [
            (vec![], "WEBHOOK_KEYS is missing; expected it, or WEBHOOK_KEYS_SECRET_ARN"),
            (vec![(KEYS, keys.as_str()), arn], "WEBHOOK_KEYS and WEBHOOK_KEYS_SECRET_ARN are both set"),
            (vec![(ARN, "x")], "WEBHOOK_KEYS is missing, and WEBHOOK_KEYS_SECRET_ARN is not an ARN"),
            (vec![(KEYS, r#"{"kid":"a","key":"short"}"#)], "WEBHOOK_KEYS is not as expected: key 0: expected at least 32 bytes"),
        ] {
            let told = problem(&pairs);
            assert!(told.contains(expected) && !told.contains("short"), "{told}");
        }
    }

    #[tokio::test]
    async fn an_unknown_key_has_the_secret_read_again_once_a_minute() {
        static READS: AtomicUsize = AtomicUsize::new(0);
        let read = |_: String| -> BoxFuture<'static, anyhow::Result<String>> {
            Box::pin(async {
                match READS.fetch_add(1, Ordering::Relaxed) {
                    0 => Ok(key("a")),
                    1 => anyhow::bail!("away"),
                    _ => Ok(format!("[{},{}]", key("b"), key("a"))),
                }
            })
        };
        let (id, now) = (Uuid::nil(), Utc::now());
        let keys = OpenKeys::open_with(KeySource::SecretArn("arn:x".to_owned()), Box::new(read)).await.unwrap();
        assert!(keys.secret("a", id, 1, now).await.unwrap().is_some());
        assert_eq!((keys.newest().as_str(), READS.load(Ordering::Relaxed)), ("a", 1), "it is known");
        assert!(keys.secret("b", id, 1, now).await.is_err(), "whether it is gone can't be said");
        assert!(keys.secret("b", id, 1, now).await.unwrap().is_some());
        assert_eq!(keys.newest(), "b");
        for _ in 0..3 {
            assert!(keys.secret("c", id, 1, now).await.unwrap().is_none());
        }
        assert_eq!(READS.load(Ordering::Relaxed), 3);
        assert!(keys.secret("c", id, 1, now + TimeDelta::minutes(1)).await.unwrap().is_none());
        assert_eq!(READS.load(Ordering::Relaxed), 4);
    }
}
