//! Where a request comes from, and what every answer has: the request's id, the security headers, a line in the log.

use std::time::Instant;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use uuid::Uuid;

/// The header in which a client may give a request's id, and finds it in the answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a client.
const LONGEST_ID: usize = 64;

/// What every answer says to a browser that should show it to nobody else, run nothing in it and remember nothing of it
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

/// Marks an answer that is a file of the page of [`crate::openapi::page`], which may run what comes from here, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct OwnPage;

/// The page's own. Its icons are drawn in its style sheet.
const PAGE_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        ),
    ),
];

/// What the gateway knows of a request. It is the gateway's word, never a header's: those anybody can write.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// The client's address.
    pub address: Option<String>,
    /// The gateway's own id of the request.
    pub request_id: Option<String>,
}

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address; `unknown` where no gateway told it.
    pub address: String,
    /// The request's id: the client's, if it gave a good one, else the gateway's, else a new one.
    pub request_id: String,
}

/// For the log, told by who knew it.
#[derive(Clone, Debug)]
pub struct Told {
    /// The route's pattern: a path may hold a number.
    pub route: &'static str,
    /// Who called, as in the audit log.
    pub actor: String,
}

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
            .filter(|id| is_good(id));
        let request_id = given
            .map(str::to_owned)
            .or(gateway.request_id.filter(|id| is_good(id)))
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

fn is_good(id: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._=-".contains(&byte);
    !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(letter)
}

/// Around every route: notes the origin, and gives the answer its id and its headers.
pub async fn trace(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let origin = Origin::of(&request);
    let method = request.method().clone();
    request.extensions_mut().insert(origin.clone());
    let mut response = next.run(request).await;
    let told = response.extensions_mut().remove::<Told>();
    let page = response.extensions_mut().remove::<OwnPage>();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&origin.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.extend(SECURITY_HEADERS);
    if page.is_some() {
        for (name, value) in PAGE_HEADERS {
            headers.insert(name, value);
        }
    }
    tracing::info!(
        request.id = origin.request_id,
        request.method = %method,
        request.route = told.as_ref().map(|told| told.route),
        request.actor = told.as_ref().map(|told| told.actor.as_str()),
        response.status = response.status().as_u16(),
        duration_ms = begun.elapsed().as_millis() as u64,
        "request"
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_only_if_it_can_do_no_harm() {
        let table = [
            ("abc-1.2_3=", true),
            ("", false),
            ("a b", false),
            ("a\"", false),
            ("ü", false),
            ("{}", false),
        ];
        for (id, good) in table {
            assert_eq!(is_good(id), good, "{id}");
        }
        assert!(is_good(&"a".repeat(64)) && !is_good(&"a".repeat(65)));
    }
}
