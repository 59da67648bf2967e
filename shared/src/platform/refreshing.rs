//! A secret that is read again while the process runs.
//!
//! A process reads its secrets when it starts. After a rotation, the value that it holds may be
//! insufficient: a token names a key that is not in it, or a server rejects a password. The caller
//! then requests a newer value ([`Refreshing::newer_than`]), and retries once if there is one. The
//! source is read at most once per [`BETWEEN_READS`], because any client can make up the name of a
//! key.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::platform::{aws, config::KeySource};

/// The minimum time between two reads of a secret after the first one.
pub const BETWEEN_READS: TimeDelta = TimeDelta::minutes(1);

/// Reads the secret with an ARN.
pub type ReadSecret =
    Box<dyn Fn(String) -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// Parses the text of a secret. Its errors must not contain the text.
pub type Parse<T> = fn(&str) -> anyhow::Result<T>;

/// The parsed value of a secret. Clones share the value and the time of the last read.
pub struct Refreshing<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    value: RwLock<Arc<T>>,
    source: KeySource,
    parse: Parse<T>,
    read_secret: ReadSecret,
    last_read: Mutex<Option<Read>>,
}

/// A read after the first one.
struct Read {
    at: DateTime<Utc>,
    /// The error, if the read failed.
    error: Option<String>,
}

impl<T> Clone for Refreshing<T> {
    fn clone(&self) -> Self {
        let inner = Arc::clone(&self.inner);
        Self { inner }
    }
}

impl<T> Refreshing<T> {
    /// Reads the value: from the environment, or from AWS Secrets Manager.
    pub async fn open(source: KeySource, parse: Parse<T>) -> anyhow::Result<Self> {
        let read_secret = |arn: String| -> BoxFuture<'static, _> {
            Box::pin(async move { aws::read_secret(&arn).await })
        };
        Self::open_with(source, parse, Box::new(read_secret)).await
    }

    /// Reads the value with another reader of secrets, for tests.
    pub async fn open_with(
        source: KeySource,
        parse: Parse<T>,
        read_secret: ReadSecret,
    ) -> anyhow::Result<Self> {
        let value = match &source {
            KeySource::Fixed(text) => parse(text.expose_secret())?,
            KeySource::SecretArn(arn) => read(arn, parse, &read_secret).await?,
        };
        let inner = Inner {
            value: RwLock::new(Arc::new(value)),
            source,
            parse,
            read_secret,
            last_read: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Returns the value that was read last.
    pub fn current(&self) -> Arc<T> {
        let value = self.inner.value.read();
        Arc::clone(&value.unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a newer value than `seen`, which the caller found insufficient.
    ///
    /// That is the current value if it was read after `seen`; else the secret is read again. Returns
    /// `None` if there is no newer value: the source is fixed, or it was read less than
    /// [`BETWEEN_READS`] ago. Fails if the last read failed; until the next read is due, each call
    /// returns the same error, so that a caller can distinguish "insufficient" from "unknown". The
    /// previous value stays in use.
    pub async fn newer_than(
        &self,
        seen: &Arc<T>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<Arc<T>>> {
        let KeySource::SecretArn(arn) = &self.inner.source else {
            return Ok(None);
        };
        // Concurrent callers wait here for one read.
        let mut last_read = self.inner.last_read.lock().await;
        let current = self.current();
        if !Arc::ptr_eq(&current, seen) {
            return Ok(Some(current));
        }
        if let Some(read) = &*last_read
            && (now - read.at).abs() < BETWEEN_READS
        {
            return match &read.error {
                None => Ok(None),
                Some(error) => Err(anyhow!("{error}")),
            };
        }
        match read(arn, self.inner.parse, &self.inner.read_secret).await {
            Ok(value) => {
                *last_read = Some(Read {
                    at: now,
                    error: None,
                });
                Ok(Some(self.replace(value)))
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "a secret could not be read again");
                *last_read = Some(Read {
                    at: now,
                    error: Some(error.clone()),
                });
                Err(anyhow!(error))
            }
        }
    }

    fn replace(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let mut current = self
            .inner
            .value
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::clone(&value);
        value
    }
}

async fn read<T>(arn: &str, parse: Parse<T>, read_secret: &ReadSecret) -> anyhow::Result<T> {
    let text = SecretString::from(read_secret(arn.to_owned()).await?);
    parse(text.expose_secret()).with_context(|| format!("the secret {arn}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A secret in memory that counts its reads. An empty text makes a read fail.
    #[derive(Default)]
    struct FakeSecret {
        text: StdMutex<String>,
        reads: AtomicUsize,
    }

    impl FakeSecret {
        fn set(&self, text: &str) {
            text.clone_into(&mut self.text.lock().unwrap());
        }

        fn reads(&self) -> usize {
            self.reads.load(Ordering::Relaxed)
        }
    }

    fn parse(text: &str) -> anyhow::Result<u32> {
        text.parse().context("expected a number")
    }

    async fn open(text: &str) -> (Refreshing<u32>, Arc<FakeSecret>) {
        let secret = Arc::new(FakeSecret::default());
        secret.set(text);
        let source = Arc::clone(&secret);
        let read_secret: ReadSecret = Box::new(move |arn| {
            assert_eq!(arn, "arn:x");
            source.reads.fetch_add(1, Ordering::Relaxed);
            let text = source.text.lock().unwrap().clone();
            Box::pin(async move {
                let text = (!text.is_empty()).then_some(text);
                text.context("the secret is unavailable")
            })
        });
        let source = KeySource::SecretArn("arn:x".to_owned());
        let value = Refreshing::open_with(source, parse, read_secret).await;
        (value.unwrap(), secret)
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[tokio::test]
    async fn an_insufficient_value_is_read_again_at_most_once_per_minute() {
        let (value, secret) = open("1").await;
        let first = value.current();
        assert_eq!((*first, secret.reads()), (1, 1));
        secret.set("2");
        let second = value.newer_than(&first, at(0)).await.unwrap().unwrap();
        assert_eq!((*second, *value.current(), secret.reads()), (2, 2, 2));
        secret.set("3");
        for seconds in [0, 30, 59, -59] {
            let newer = value.newer_than(&second, at(seconds)).await.unwrap();
            assert_eq!((newer, secret.reads()), (None, 2), "after {seconds} s");
        }
        let third = value.newer_than(&second, at(60)).await.unwrap();
        assert_eq!((third, secret.reads()), (Some(Arc::new(3)), 3));
    }

    #[tokio::test]
    async fn a_value_that_another_caller_has_read_is_returned_without_a_read() {
        let (value, secret) = open("1").await;
        let (first, clone) = (value.current(), value.clone());
        secret.set("2");
        value.newer_than(&first, at(0)).await.unwrap().unwrap();
        let newer = clone.newer_than(&first, at(1)).await.unwrap();
        assert_eq!((newer, secret.reads()), (Some(Arc::new(2)), 2));
    }

    #[tokio::test]
    async fn after_a_failed_read_the_value_stays_and_the_error_repeats_for_a_minute() {
        let (value, secret) = open("1").await;
        let first = value.current();
        for text in ["", "not a number"] {
            secret.set(text);
            let start = if text.is_empty() { 0 } else { 60 };
            let reads = secret.reads();
            for seconds in [0, 59] {
                let error = value.newer_than(&first, at(start + seconds)).await;
                let error = error.unwrap_err().to_string();
                assert!(error.contains("secret"), "{error}");
                assert!(!error.contains("not a number"), "{error}");
            }
            assert_eq!((*value.current(), secret.reads()), (1, reads + 1));
        }
        secret.set("2");
        let newer = value.newer_than(&first, at(120)).await.unwrap();
        assert_eq!(newer, Some(Arc::new(2)));
    }

    #[tokio::test]
    async fn a_fixed_value_is_never_read_again() {
        let source = KeySource::Fixed("1".to_owned().into());
        let read_secret: ReadSecret = Box::new(|_| panic!("the source is fixed"));
        let value = Refreshing::open_with(source, parse, read_secret).await;
        let value = value.unwrap();
        let newer = value.newer_than(&value.current(), at(0)).await.unwrap();
        assert_eq!((newer, *value.current()), (None, 1));
        let source = KeySource::Fixed("x".to_owned().into());
        assert!(Refreshing::open(source, parse).await.is_err());
    }
}
