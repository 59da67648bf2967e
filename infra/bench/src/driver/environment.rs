//! An execution environment: a process of a function's binary, and the Lambda Runtime API that only
//! this process calls, on a port of its own.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    net::Ipv4Addr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path as UrlPath, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};
use uuid::Uuid;

use super::function::{Function, Running};
use crate::process::Usage;

const API: &str = "/2018-06-01/runtime";

/// A running environment. Its process is killed when this value is dropped.
pub struct Environment {
    child: Child,
    started: Instant,
    server: JoinHandle<()>,
    first_poll: watch::Receiver<Option<Instant>>,
}

struct Runtime {
    function: Arc<Function>,
    running: Mutex<HashMap<String, Running>>,
    first_poll: watch::Sender<Option<Instant>>,
}

impl Runtime {
    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        // No code panics while it holds the lock.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, id: &str, outcome: Result<Bytes, String>) -> StatusCode {
        let Some(running) = self.running().remove(id) else {
            return StatusCode::NOT_FOUND;
        };
        let error = outcome.as_ref().err().map(String::as_str);
        self.function.record(running.begun.elapsed(), error);
        // The caller may have stopped waiting.
        let _ = running.respond.send(outcome);
        StatusCode::ACCEPTED
    }
}

/// What a process is started with.
pub(super) struct Start<'a> {
    pub(super) binary: &'a Path,
    pub(super) memory_mb: u32,
    pub(super) variables: &'a HashMap<String, String>,
    /// The file to which its output is appended.
    pub(super) log: &'a Path,
}

impl Environment {
    /// Starts a process that takes invocations of `function`.
    pub(super) async fn start(function: Arc<Function>, start: Start<'_>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (polls, first_poll) = watch::channel(None);
        let name = function.name.clone();
        let runtime = Arc::new(Runtime {
            function,
            running: Mutex::default(),
            first_poll: polls,
        });
        let server = tokio::spawn(serve(listener, runtime));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(start.log)
            .with_context(|| start.log.display().to_string())?;
        let started = Instant::now();
        let child = Command::new(start.binary)
            .env_clear()
            .envs(start.variables)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &name)
            .env(
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                start.memory_mb.to_string(),
            )
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| start.binary.display().to_string())?;
        Ok(Self {
            child,
            started,
            server,
            first_poll,
        })
    }

    /// Waits until the process has asked for its first invocation. Returns how long it took.
    pub async fn ready(&mut self) -> anyhow::Result<Duration> {
        const LONGEST: Duration = Duration::from_secs(30);
        let started = self.started;
        let polled = tokio::time::timeout(LONGEST, self.first_poll.wait_for(Option::is_some));
        tokio::select! {
            polled = polled => {
                let at = polled.context("the function did not start in time")??;
                Ok(at.unwrap_or(started) - started)
            }
            status = self.child.wait() => {
                anyhow::bail!("the function ended while it started: {}", status?)
            }
        }
    }

    /// Returns what the process has used so far; `None` if it has ended.
    pub fn usage(&self) -> Option<Usage> {
        self.child.id().and_then(Usage::of)
    }

    /// Returns whether the process has ended.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Kills the process and waits for its end.
    pub async fn stop(mut self) {
        // Fails only if the process has ended already.
        let _ = self.child.kill().await;
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, runtime: Arc<Runtime>) {
    let router = Router::new()
        .route(&format!("{API}/invocation/next"), get(next))
        .route(&format!("{API}/invocation/{{id}}/response"), post(response))
        .route(&format!("{API}/invocation/{{id}}/error"), post(error))
        .route(&format!("{API}/init/error"), post(init_error))
        .layer(DefaultBodyLimit::disable())
        .with_state(runtime);
    let listener = listener.tap_io(|stream| {
        // Without it, answers are only slower.
        let _ = stream.set_nodelay(true);
    });
    // Accepting does not fail: axum retries.
    let _ = axum::serve(listener, router).await;
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    runtime.first_poll.send_if_modified(|first| {
        let is_first = first.is_none();
        first.get_or_insert_with(Instant::now);
        is_first
    });
    let Some(invocation) = runtime.function.next().await else {
        return StatusCode::GONE.into_response();
    };
    let id = Uuid::new_v4().to_string();
    let deadline = SystemTime::now() + runtime.function.timeout;
    let deadline_ms = deadline
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let running = Running {
        begun: Instant::now(),
        respond: invocation.respond,
    };
    runtime.running().insert(id.clone(), running);
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:bench:{}", runtime.function.name),
        ),
        ("lambda-runtime-trace-id", "Root=1-0-0".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, invocation.payload).into_response()
}

async fn response(
    State(runtime): State<Arc<Runtime>>,
    UrlPath(id): UrlPath<String>,
    body: Bytes,
) -> StatusCode {
    runtime.finish(&id, Ok(body))
}

async fn error(
    State(runtime): State<Arc<Runtime>>,
    UrlPath(id): UrlPath<String>,
    body: Bytes,
) -> StatusCode {
    runtime.finish(&id, Err(String::from_utf8_lossy(&body).into_owned()))
}

/// Accepts the report; the process ends by itself, which [`Environment::ready`] notices.
async fn init_error() -> StatusCode {
    StatusCode::ACCEPTED
}
