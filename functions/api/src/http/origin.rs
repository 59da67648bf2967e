//! The origin of a request, and what each answer has: the request's id, the security headers, a log
//! line.

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use shared::platform::{logs::context::request_span, traces};
use tracing::Instrument;
use uuid::Uuid;

use crate::http::edge::Edge;

/// The header with the request's id: clients may send it, and each answer has it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that is accepted from a client, at most.
const LONGEST_ID: usize = 64;

/// Headers that forbid browsers to embed an answer, to execute scripts in it and to store it
/// (OWASP, REST Security Cheat Sheet).
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=63072000; includeSubDomains"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
];

/// Marks an answer as a file of a page, the documentation or the console: it may load scripts and
/// styles from this origin only, and browsers may store it.
#[derive(Clone, Copy, Debug)]
pub enum PageFile {
    /// The browser asks at each use whether the file has changed.
    Revalidated,
    /// The URL has the version of the file in it, so the file never changes.
    Immutable,
}

/// The policy of pages. The style sheet of the documentation contains its icons.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

impl PageFile {
    fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        let cache = match self {
            Self::Revalidated => "no-cache",
            Self::Immutable => "public, max-age=31536000, immutable",
        };
        [
            (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
            (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        ]
    }
}

/// The data that the gateway reports about a request. They are read from a header only if CloudFront
/// has proved that it set the header ([`crate::http::edge`]), because every client can set headers.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// The client's address.
    pub address: Option<String>,
    /// The id that the gateway gave the request.
    pub request_id: Option<String>,
}

/// The origin of a request.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address; `unknown` without a gateway.
    pub address: String,
    /// The request's id: the client's if it is valid, else the gateway's, else a new one.
    pub request_id: String,
}

/// The caller, as the audit log names it. The guard adds it to the request.
#[derive(Clone, Debug)]
pub struct Actor(pub String);

/// Fields of the log line that the guard adds to the response.
#[derive(Clone, Debug)]
pub struct LogFields {
    /// The pattern of the route: the path itself may contain a phone number.
    pub route: &'static str,
    /// The caller, as the audit log names it.
    pub actor: String,
}

/// The type of the problem document that a response has.
#[derive(Clone, Copy, Debug)]
pub struct LoggedProblem(pub &'static str);

impl Origin {
    fn of(request: &Request) -> Self {
        let gateway = request
            .extensions()
            .get::<Gateway>()
            .cloned()
            .unwrap_or_default();
        let given = request
            .headers()
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|id| is_valid_id(id));
        let request_id = given
            .map(str::to_owned)
            .or(gateway.request_id.filter(|id| is_valid_id(id)))
            .unwrap_or_else(|| Uuid::now_v7().to_string());
        let address = gateway
            .address
            .filter(|address| !address.is_empty() && address.len() <= 45);
        Self {
            address: address.unwrap_or_else(|| "unknown".to_owned()),
            request_id,
        }
    }
}

fn is_valid_id(id: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._=-".contains(&byte);
    !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(letter)
}

/// Adds the [`Origin`] to the request, and the id and the headers to the answer; then logs the
/// request. A request that avoids the edge is refused.
pub async fn trace(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let admitted = edge.admit(&mut request).await;
    let origin = Origin::of(&request);
    let method = request.method().clone();
    request.extensions_mut().insert(origin.clone());
    let traceparent = request.headers().get("traceparent");
    let traceparent = traceparent.and_then(|value| value.to_str().ok());
    let span = request_span(&origin.request_id, traceparent);
    let mut response = match admitted {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(error) => span.in_scope(|| error.into_response()),
    };
    let fields = response.extensions_mut().remove::<LogFields>();
    let page = response.extensions_mut().remove::<PageFile>();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&origin.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.extend(SECURITY_HEADERS);
    if let Some(page) = page {
        for (name, value) in page.headers() {
            headers.insert(name, value);
        }
    }
    if let Some(fields) = &fields {
        traces::rename(&span, format!("{method} {}", fields.route));
    }
    let problem = response.extensions_mut().remove::<LoggedProblem>();
    span.in_scope(|| {
        tracing::info!(
            request.method = %method,
            request.route = fields.as_ref().map(|fields| fields.route),
            request.actor = fields.as_ref().map(|fields| fields.actor.as_str()),
            response.status = response.status().as_u16(),
            response.problem = problem.map(|problem| problem.0),
            duration_ms = begun.elapsed().as_millis() as u64,
            "request"
        );
    });
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_harmless_characters_are_accepted() {
        let table = [
            ("abc-1.2_3=", true),
            ("", false),
            ("a b", false),
            ("a\"", false),
            ("ü", false),
            ("{}", false),
        ];
        for (id, valid) in table {
            assert_eq!(is_valid_id(id), valid, "{id}");
        }
        assert!(is_valid_id(&"a".repeat(64)) && !is_valid_id(&"a".repeat(65)));
    }
}
