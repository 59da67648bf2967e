//! A reverse proxy on the loopback interface: the same path and query below a target URL, everything else untouched.
//!
//! The emulator's API URL has a path and changes with each deployment; clients should see neither. Each request goes out once,
//! over a connection of its own: a kept connection that the target closes at the wrong moment would leave open whether a
//! `POST` was processed, and nothing here may send one twice.

mod forward;
mod target;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use serde_json::json;
use tokio::net::TcpListener;

pub use target::Target;

/// Serves the proxy on `listener` until it is dropped.
pub async fn serve(listener: TcpListener, target: Target) -> std::io::Result<()> {
    // Small answers, awaited by somebody: Nagle's algorithm would only delay them. If it can't be turned off, they are late.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().fallback(proxy).with_state(target)).await
}

async fn proxy(State(target): State<Target>, request: Request) -> Response {
    match forward::forward(&target, request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => problem(error.status(), &format!("{error:#}")),
    }
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "title": title, "status": status.as_u16(), "detail": detail }).to_string();
    (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
}
