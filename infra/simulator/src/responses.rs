//! Builds the HTTP responses, including the instruction to close the connection without one.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::settings::Settings;
use crate::submission::Refusal;

/// Marks a response that must not be sent: the accept loop closes the connection instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HangUp {
    /// A regular close: the client reads the end of the stream.
    Close,
    /// A TCP reset.
    Reset,
}

/// Returns a placeholder that makes the server close the connection without a response.
pub(crate) fn hang_up(how: HangUp) -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(how);
    response
}

/// Waits `hang_ms` (0: for ever), then closes the connection without a response.
pub(crate) async fn hang(hang_ms: u32) -> Response {
    if hang_ms == 0 {
        std::future::pending::<()>().await;
    }
    wait(hang_ms).await;
    hang_up(HangUp::Close)
}

/// Waits `ms`. Returns at once for 0, without waiting for the timer's next tick.
pub(crate) async fn wait(ms: u32) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms.into())).await;
    }
}

/// Returns a response with a status, a content type and a body.
pub(crate) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    (
        status,
        [(CONTENT_TYPE, HeaderValue::from_static(content_type))],
        body.into(),
    )
        .into_response()
}

/// Returns a plain-text response, the form in which the carrier reports errors.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response {
    response(status, "text/plain; charset=utf-8", text)
}

/// Returns a web page where the client expects JSON.
pub(crate) fn web_page() -> Response {
    response(
        StatusCode::OK,
        "text/html",
        "<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>",
    )
}

/// Returns the carrier's response to a refused request.
pub(crate) fn refusal(refusal: Refusal, settings: &Settings) -> Response {
    let (mut status, reason) = refusal.status_and_text();
    let mut reason = reason.to_owned();
    if refusal == Refusal::NoCredit {
        let set = settings.credit_status.map(StatusCode::from_u16);
        status = set.and_then(Result::ok).unwrap_or(status);
        reason = settings.credit_text.clone().unwrap_or(reason);
    }
    let mut response = response(status, "text/plain; charset=utf-8", reason);
    if let (StatusCode::TOO_MANY_REQUESTS, Some(retry_after_s)) = (status, settings.retry_after_s) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, retry_after_s.into());
    }
    response
}
