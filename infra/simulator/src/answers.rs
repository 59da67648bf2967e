//! The forms an answer can take, among them none at all.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::submission::Refusal;

/// On a response: don't send it, close the connection instead. Seen by [`crate::serve()`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HangUp {
    /// In good order: the client reads the end of the stream.
    Close,
    /// With a reset.
    Reset,
}

/// No answer: the connection is closed.
pub(crate) fn hang_up(how: HangUp) -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(how);
    response
}

/// No answer for `hang_ms`, 0 being for ever, then the connection is closed.
pub(crate) async fn hang(hang_ms: u32) -> Response {
    if hang_ms == 0 {
        std::future::pending::<()>().await;
    }
    wait(hang_ms).await;
    hang_up(HangUp::Close)
}

/// Waits; for 0 not even for the timer's next tick.
pub(crate) async fn wait(ms: u32) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms.into())).await;
    }
}

/// `body` with a content type.
pub(crate) fn answer(
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

/// Plain text, as the carrier answers what goes wrong.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response {
    answer(status, "text/plain; charset=utf-8", text)
}

/// A web page where JSON was asked for.
pub(crate) fn web_page() -> Response {
    answer(
        StatusCode::OK,
        "text/html",
        "<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>",
    )
}

/// A refusal in the carrier's words.
pub(crate) fn refusal(refusal: Refusal, retry_after_s: Option<u32>) -> Response {
    let (status, words) = refusal.answer();
    let mut response = text(status, words);
    if let (Refusal::Busy, Some(retry_after_s)) = (refusal, retry_after_s) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, retry_after_s.into());
    }
    response
}
