//! The HTTP API in front of the function api: each request becomes an event of payload format 2.0.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::function::Function;

/// Returns a router that passes every request to the function.
pub(super) fn router(api: Arc<Function>) -> Router {
    Router::new()
        .fallback(forward)
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

async fn forward(
    State(api): State<Arc<Function>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let event = event(&method, &uri, &headers, &body);
    let answer = match api.call(&event).await.map(serde_json::from_value::<Answer>) {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let text = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded {
        BASE64_STANDARD.decode(text).unwrap_or_default()
    } else {
        text.into_bytes()
    };
    let mut response = Response::builder().status(answer.status_code);
    for (name, value) in &answer.headers {
        if let Some(value) = value.as_str() {
            response = response.header(name, value);
        }
    }
    let response = response.body(Body::from(body));
    response.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

fn event(method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Value {
    let pairs = headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?)))
    });
    let now = Utc::now();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": uri.path(),
        "rawQueryString": uri.query().unwrap_or_default(),
        "headers": pairs.collect::<Map<_, _>>(),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "bench",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": method.as_str(),
                "path": uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "bench",
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.timestamp_millis(),
        },
        "isBase64Encoded": !body.is_empty(),
    });
    if !body.is_empty() {
        event["body"] = BASE64_STANDARD.encode(body).into();
    }
    event
}
