//! The proxy's control by HTTP, on a port of its own: settings, the cut, the counts.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::{Mode, ModeError, Proxy, Stats};

/// `GET` and `PATCH /settings`, `POST /cut`, `GET /stats`.
pub fn control(proxy: Arc<Proxy>) -> Router {
    Router::new()
        .route("/settings", get(read_settings).patch(change_settings))
        .route("/cut", post(cut))
        .route("/stats", get(read_stats))
        .with_state(proxy)
}

async fn read_settings(State(proxy): State<Arc<Proxy>>) -> Json<Mode> {
    Json(proxy.mode())
}

/// Answers when the settings are in force.
async fn change_settings(State(proxy): State<Arc<Proxy>>, body: Bytes) -> Response {
    let Ok(patch) = serde_json::from_slice::<Value>(&body) else {
        return problem(StatusCode::BAD_REQUEST, "the body is no JSON");
    };
    match proxy.patch(patch).await {
        Ok(mode) => Json(mode).into_response(),
        Err(error) if error.is::<ModeError>() => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
    }
}

/// Answers when the connections are reset, with the counts.
async fn cut(State(proxy): State<Arc<Proxy>>) -> Json<Stats> {
    proxy.cut().await;
    Json(proxy.stats())
}

async fn read_stats(State(proxy): State<Arc<Proxy>>) -> Json<Stats> {
    Json(proxy.stats())
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body =
        json!({ "title": "settings not changed", "status": status.as_u16(), "detail": detail })
            .to_string();
    (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
}
