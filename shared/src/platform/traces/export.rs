//! The export of spans to a collector, at the end of each invocation.
//!
//! Nothing that the product does depends on it: an export takes at most [`EXPORT_TIMEOUT`], and
//! after one that failed the spans of the next [`PAUSE`] are discarded, so that a dead collector
//! costs an environment one second per minute.

use std::{
    collections::HashMap,
    env,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::time::timeout;

use super::{ENDED, ENDPOINT, queue::SpanQueue};
use crate::platform::{
    aws,
    config::{Env, KeySource},
};

/// The longest time that an export takes.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long nothing is exported after an export that failed.
const PAUSE: Duration = Duration::from_secs(60);
/// The path of traces (OTLP specification, section OTLP/HTTP Request).
const PATH: &str = "/v1/traces";

/// Where the spans go.
#[derive(Debug, Default)]
pub struct TraceSettings {
    endpoint: Option<String>,
    headers: Option<KeySource>,
    service: &'static str,
}

impl TraceSettings {
    /// Reads `OTLP_ENDPOINT` and one of `OTLP_HEADERS` and `OTLP_HEADERS_SECRET_ARN`. `service` is
    /// the name of the function.
    pub fn from_env(env: &mut Env, service: &'static str) -> Self {
        const HEADERS: &str = "OTLP_HEADERS";
        const ARN: &str = "OTLP_HEADERS_SECRET_ARN";
        const EXPECTED: &str = "an http or https URL of an OTLP collector";
        let endpoint = env.optional(ENDPOINT, EXPECTED);
        if let Some(given) = &endpoint
            && !url::Url::parse(given).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        {
            env.report::<()>(ENDPOINT, format!("is not {EXPECTED}"));
        }
        let headers = env.optional(HEADERS, "headers as JSON, {name: value}");
        let arn = env.optional(ARN, "the ARN of a secret with them");
        let headers = (headers.is_some() || arn.is_some())
            .then(|| env.key_source(HEADERS, ARN, |headers| read_headers(headers).map(drop)));
        Self {
            endpoint,
            headers,
            service,
        }
    }
}

/// Reads `{"name": "value"}`. The error does not show a value.
fn read_headers(json: &str) -> anyhow::Result<HashMap<String, String>> {
    #[derive(Deserialize)]
    struct Headers(HashMap<String, String>);
    let Ok(Headers(headers)) = serde_json::from_str(json) else {
        bail!("expected JSON such as {{\"authorization\":\"…\"}}")
    };
    Ok(headers)
}

/// Exports the spans of a process.
pub struct TraceExporter {
    ended: Arc<SpanQueue>,
    exporter: SpanExporter,
    paused_until: Mutex<Option<Instant>>,
}

impl TraceExporter {
    /// Opens the exporter, if there is an endpoint. An error, for example of a secret, is logged and
    /// does not prevent the start: the function works without traces.
    pub async fn open(settings: &TraceSettings) -> Option<Self> {
        let ended = ENDED.get()?;
        match Self::connect(settings, Arc::clone(ended)).await {
            Ok(exporter) => exporter,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "traces cannot be exported");
                None
            }
        }
    }

    /// Makes the exporter for the spans of a queue.
    async fn connect(
        settings: &TraceSettings,
        ended: Arc<SpanQueue>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = &settings.endpoint else {
            return Ok(None);
        };
        let headers = match &settings.headers {
            None => HashMap::new(),
            Some(KeySource::Fixed(json)) => read_headers(json.expose_secret())?,
            Some(KeySource::SecretArn(arn)) => read_headers(&aws::read_secret(arn).await?)?,
        };
        let endpoint = endpoint.trim_end_matches('/').trim_end_matches(PATH);
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}{PATH}"))
            .with_headers(headers)
            .with_timeout(EXPORT_TIMEOUT)
            .with_retry_policy(RetryPolicy::disabled())
            .with_http_client(Client::new()?)
            .build()
            .context("the exporter of traces")?;
        exporter.set_resource(&resource(settings.service));
        Ok(Some(Self {
            ended,
            exporter,
            paused_until: Mutex::default(),
        }))
    }

    /// Exports the spans that have ended. It never fails, and takes at most a second.
    pub async fn flush(&self) {
        let (spans, dropped) = self.ended.take();
        if spans.is_empty() || self.is_paused() {
            return;
        }
        if dropped > 0 {
            tracing::warn!(dropped, "spans were dropped: an invocation had too many");
        }
        let exported = timeout(EXPORT_TIMEOUT, self.exporter.export(spans)).await;
        if !matches!(exported, Ok(Ok(()))) {
            // Not the error: it may name the URL with a key in it.
            tracing::warn!("the collector of traces does not answer; pausing the export");
            let mut paused_until = self.lock();
            *paused_until = Some(Instant::now() + PAUSE);
        }
    }

    fn is_paused(&self) -> bool {
        self.lock().is_some_and(|until| Instant::now() < until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn resource(service: &'static str) -> Resource {
    let variable = |name| env::var(name).unwrap_or_default();
    Resource::builder_empty()
        .with_service_name(service)
        .with_attributes([
            KeyValue::new("service.namespace", "sms"),
            KeyValue::new("service.version", variable("GIT_COMMIT")),
            KeyValue::new("faas.name", variable("AWS_LAMBDA_FUNCTION_NAME")),
        ])
        .build()
}

/// The HTTP client: the one that the workspace has anyway.
#[derive(Debug)]
struct Client(reqwest::Client);

impl Client {
    fn new() -> anyhow::Result<Self> {
        // The error means that a provider is installed already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = reqwest::Client::builder()
            .timeout(EXPORT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build();
        client.map(Self).context("the HTTP client for traces")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.execute(request.try_into()?).await?;
        let status = answer.status();
        let mut response = Response::new(answer.bytes().await?);
        *response.status_mut() = status;
        Ok(response)
    }
}
