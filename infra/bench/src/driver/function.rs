//! A function: its waiting invocations, and what they took. Its environments
//! ([`super::environment`]) take one invocation at a time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail};
use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot};

/// What an environment answered: the body, or the error that it reported.
pub(super) type Outcome = Result<Bytes, String>;

/// An invocation that waits for an environment.
pub(super) struct Invocation {
    pub(super) payload: Bytes,
    pub(super) respond: oneshot::Sender<Outcome>,
}

/// The totals of a function's invocations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Invocations that ended.
    pub invocations: u64,
    /// Those that failed, or whose environment ended.
    pub errors: u64,
    /// The text of the first error.
    pub first_error: Option<String>,
    /// The sum of their durations, each rounded up to a millisecond as AWS bills it.
    pub billed_ms: u64,
    /// The end of the last one.
    pub last_end: Option<SystemTime>,
}

/// A function and its queue of invocations.
pub struct Function {
    /// Its name, which is also that of its binary.
    pub name: String,
    /// Its timeout: the deadline that an environment is told.
    pub timeout: Duration,
    sender: mpsc::UnboundedSender<Invocation>,
    receiver: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    totals: Mutex<Totals>,
}

impl Function {
    /// Creates a function without environments.
    pub(super) fn new(name: &str, timeout: Duration) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            name: name.to_owned(),
            timeout,
            sender,
            receiver: tokio::sync::Mutex::new(receiver),
            totals: Mutex::default(),
        }
    }

    /// Waits for the next invocation. Cancelling the wait loses none.
    pub(super) async fn next(&self) -> Option<Invocation> {
        self.receiver.lock().await.recv().await
    }

    /// Invokes the function and returns its answer. An environment that ends during the invocation
    /// is an error.
    pub async fn invoke(&self, payload: Bytes) -> anyhow::Result<Bytes> {
        let (respond, outcome) = oneshot::channel();
        let invocation = Invocation { payload, respond };
        if self.sender.send(invocation).is_err() {
            bail!("{} has no environment", self.name);
        }
        match outcome.await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => bail!("{} failed: {error}", self.name),
            Err(_) => {
                self.record(Duration::ZERO, Some("the environment ended"));
                Err(anyhow::anyhow!("{}: the environment ended", self.name))
            }
        }
    }

    /// Invokes the function with JSON and reads its JSON answer.
    pub async fn call(&self, payload: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
        let body = self.invoke(payload.to_string().into()).await?;
        serde_json::from_slice(&body).with_context(|| format!("the answer of {}", self.name))
    }

    fn totals_mut(&self) -> MutexGuard<'_, Totals> {
        // No code panics while it holds the lock.
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an invocation that ended.
    pub(super) fn record(&self, took: Duration, error: Option<&str>) {
        let mut totals = self.totals_mut();
        totals.invocations += 1;
        totals.billed_ms += took.as_micros().div_ceil(1000) as u64;
        totals.last_end = Some(SystemTime::now());
        if let Some(error) = error {
            totals.errors += 1;
            totals.first_error.get_or_insert_with(|| error.to_owned());
        }
    }

    /// Counts an error of an invocation that ended without one: a message that it reported.
    pub(super) fn report(&self, error: &str) {
        let mut totals = self.totals_mut();
        totals.errors += 1;
        totals.first_error.get_or_insert_with(|| error.to_owned());
    }

    /// Returns the totals so far.
    pub fn totals(&self) -> Totals {
        self.totals_mut().clone()
    }
}

/// An invocation that an environment works on.
pub(super) struct Running {
    pub(super) begun: Instant,
    pub(super) respond: oneshot::Sender<Outcome>,
}
