//! The routes: the carrier's endpoint `/api`, and the simulator's own endpoints for its settings,
//! its ledger and its counts.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::carrier::Carrier;
use crate::parameters::Parameters;
use crate::responses;
use crate::settings::{Settings, SettingsError};
use crate::stats::Stats;
use crate::status::status;
use crate::submit::submit;

/// Ledger lines that are written under one lock: the longest wait of a submit request for the
/// ledger.
const LINES_PER_CHUNK: u64 = 500;

/// Returns all routes. They must be served with [`crate::serve()`], which can close a connection
/// without a response.
pub fn router(carrier: Carrier) -> Router {
    Router::new()
        .route("/api", get(api).post(api))
        .route("/settings", get(read_settings).patch(change_settings))
        .route("/ledger", get(read_ledger).delete(reset))
        .route("/stats", get(read_stats))
        .with_state(carrier)
}

/// Handles a submit request or a status query, as `command` specifies. Without `command`, a `GET`
/// with a `messageId` is a query and any other request a submit request.
async fn api(
    State(carrier): State<Carrier>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(parameters) = Parameters::read(&uri, &headers, &body) else {
        return submit(&carrier, None).await;
    };
    match parameters.command.as_deref() {
        Some("query") => status(&carrier, &parameters).await,
        None if method == Method::GET && parameters.message_id.is_some() => {
            status(&carrier, &parameters).await
        }
        None | Some("submit") => submit(&carrier, Some(&parameters)).await,
        Some(_) => responses::text(
            StatusCode::BAD_REQUEST,
            "400 Bad Request (Command is invalid)",
        ),
    }
}

async fn read_settings(State(carrier): State<Carrier>) -> Json<Settings> {
    Json(carrier.settings())
}

async fn change_settings(State(carrier): State<Carrier>, body: Bytes) -> Response {
    let patch = match serde_json::from_slice::<Value>(&body) {
        Ok(patch) => patch,
        Err(error) => {
            let detail = format!("the body is not valid JSON ({error}); expected a JSON object");
            return problem(StatusCode::BAD_REQUEST, &detail);
        }
    };
    match apply(&carrier, patch) {
        Ok(settings) => Json(settings).into_response(),
        Err(error) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

/// Reads and replaces the settings under one lock, so that concurrent patches do not undo each
/// other.
fn apply(carrier: &Carrier, patch: Value) -> Result<Settings, SettingsError> {
    let mut state = carrier.state();
    let settings = state.settings.patched(patch)?;
    state.set(settings.clone())?;
    Ok(settings)
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body =
        json!({ "title": "settings not changed", "status": status.as_u16(), "detail": detail });
    responses::response(status, "application/problem+json", body.to_string())
}

#[derive(Deserialize)]
struct LedgerQuery {
    #[serde(default)]
    from: u64,
}

/// Streams the lines from `from` to the current end in chunks. A reset in the meantime aborts the
/// response.
async fn read_ledger(
    State(carrier): State<Carrier>,
    Query(LedgerQuery { from }): Query<LedgerQuery>,
) -> Response {
    let (length, resets) = {
        let state = carrier.state();
        (state.ledger.len(), state.resets)
    };
    let chunks = stream::unfold(from, move |at| {
        let chunk = (at < length).then(|| chunk(&carrier, at, length, resets));
        std::future::ready(chunk.map(|chunk| (chunk, at + LINES_PER_CHUNK)))
    });
    let mut response = responses::response(
        StatusCode::OK,
        "application/x-ndjson",
        Body::from_stream(chunks),
    );
    response
        .headers_mut()
        .insert("x-ledger-length", length.into());
    response
}

fn chunk(carrier: &Carrier, from: u64, length: u64, resets: u64) -> io::Result<Vec<u8>> {
    let state = carrier.state();
    if state.resets != resets {
        return Err(io::Error::other("the ledger was reset"));
    }
    let mut chunk = Vec::new();
    for line in state.ledger.lines(from, LINES_PER_CHUNK.min(length - from)) {
        serde_json::to_writer(&mut chunk, &line)?;
        chunk.push(b'\n');
    }
    Ok(chunk)
}

async fn reset(State(carrier): State<Carrier>) -> StatusCode {
    carrier.reset();
    StatusCode::NO_CONTENT
}

async fn read_stats(State(carrier): State<Carrier>) -> Json<Stats> {
    Json(carrier.stats())
}
