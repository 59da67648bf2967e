//! A reverse proxy on the loopback interface. It appends each request's path and query to a target
//! URL and leaves everything else unchanged.
//!
//! The emulator's API URL has a path and changes with each deployment; the proxy hides both from
//! clients. Each request is sent once, over its own connection. If the target closed a reused
//! connection at the wrong moment, it would be unknown whether a `POST` was processed, and this
//! proxy must never send one twice.

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
    // Responses are small and a client waits for each: Nagle's algorithm would only delay them. If
    // it can't be disabled, responses are slower.
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
