//! The proxy's HTTP control interface, on its own port: settings, cutting connections, counts.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::{Mode, ModeError, Proxy, Stats};

/// Returns the control routes: `GET` and `PATCH /settings`, `POST /cut`, `GET /stats`.
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

/// Applies a patch of the settings. Responds after they are in force.
async fn change_settings(State(proxy): State<Arc<Proxy>>, body: Bytes) -> Response {
    let Ok(patch) = serde_json::from_slice::<Value>(&body) else {
        return problem(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    match proxy.patch(patch).await {
        Ok(mode) => Json(mode).into_response(),
        Err(error) if error.is::<ModeError>() => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
    }
}

/// Resets all open connections. Responds with the counts after they are reset.
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
