//! The parts of SQS (AWS JSON 1.0) and EventBridge Scheduler (REST) that the functions call, on one
//! loopback port. `AWS_ENDPOINT_URL` directs the functions here.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use chrono::{NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{function::Function, queue::MemoryQueue};

/// What the endpoints share.
pub(super) struct Endpoints {
    /// The queues by their names in the template.
    pub(super) queues: HashMap<String, Arc<MemoryQueue>>,
    /// The target of one-time schedules.
    pub(super) dispatch: Arc<Function>,
    /// The one-time schedules that have not fired yet.
    pub(super) schedules: tokio::sync::Mutex<HashMap<String, tokio::task::AbortHandle>>,
}

/// Returns the routes.
pub(super) fn router(endpoints: Arc<Endpoints>) -> Router {
    Router::new()
        .route("/", post(sqs))
        .route(
            "/schedules/{name}",
            post(create_schedule).delete(delete_schedule),
        )
        .layer(DefaultBodyLimit::disable())
        .with_state(endpoints)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueRequest {
    queue_url: String,
    #[serde(default)]
    entries: Vec<Entry>,
    #[serde(default)]
    message_body: String,
    #[serde(default)]
    delay_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    message_body: String,
    #[serde(default)]
    delay_seconds: u64,
}

/// Handles a call of SQS, which the header `X-Amz-Target` names.
async fn sqs(State(endpoints): State<Arc<Endpoints>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|t| t.to_str().ok());
    let action = target.and_then(|t| t.split('.').nth(1)).unwrap_or_default();
    let Ok(request) = serde_json::from_slice::<QueueRequest>(&body) else {
        return unsupported(action);
    };
    let name = request.queue_url.rsplit('/').next().unwrap_or_default();
    let Some(queue) = endpoints.queues.get(name) else {
        return unsupported(&format!("{action} of {name}"));
    };
    queue.count(action);
    let answer = match action {
        "SendMessageBatch" => {
            let sent = request.entries.into_iter().map(|entry| {
                let id = queue.push(entry.message_body, Duration::from_secs(entry.delay_seconds));
                json!({"Id": entry.id, "MessageId": id, "MD5OfMessageBody": ""})
            });
            json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []})
        }
        "SendMessage" => {
            let delay = Duration::from_secs(request.delay_seconds);
            json!({"MessageId": queue.push(request.message_body, delay), "MD5OfMessageBody": ""})
        }
        "GetQueueAttributes" => {
            let (visible, delayed, in_flight) = queue.lengths();
            json!({"Attributes": {
                "ApproximateNumberOfMessages": visible.to_string(),
                "ApproximateNumberOfMessagesDelayed": delayed.to_string(),
                "ApproximateNumberOfMessagesNotVisible": in_flight.to_string(),
            }})
        }
        _ => return unsupported(action),
    };
    json_1_0(StatusCode::OK, &answer)
}

/// Returns an error that the SDK does not retry.
fn unsupported(action: &str) -> Response {
    let body = json!({"__type": "com.amazonaws.sqs#UnsupportedOperation", "message": action});
    json_1_0(StatusCode::BAD_REQUEST, &body)
}

fn json_1_0(status: StatusCode, body: &Value) -> Response {
    let headers = [("content-type", "application/x-amz-json-1.0")];
    (status, headers, body.to_string()).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneTimeSchedule {
    schedule_expression: String,
    target: ScheduleTarget,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleTarget {
    input: String,
}

/// Creates a one-time schedule, which invokes dispatch at its second.
async fn create_schedule(
    State(endpoints): State<Arc<Endpoints>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    let schedule = serde_json::from_slice::<OneTimeSchedule>(&body);
    let Some((schedule, fires_at)) = schedule.ok().and_then(|schedule| {
        let at = NaiveDateTime::parse_from_str(&schedule.schedule_expression, "at(%Y-%m-%dT%T)");
        Some((schedule, at.ok()?.and_utc()))
    }) else {
        return (StatusCode::BAD_REQUEST, "{}").into_response();
    };
    let dispatch = endpoints.dispatch.clone();
    let task = tokio::spawn(async move {
        tokio::time::sleep((fires_at - Utc::now()).to_std().unwrap_or_default()).await;
        // A failure is counted by the function, and fails the scenario.
        let _ = dispatch.invoke(schedule.target.input.into()).await;
    });
    let mut schedules = endpoints.schedules.lock().await;
    if let Some(earlier) = schedules.insert(name.clone(), task.abort_handle()) {
        earlier.abort();
    }
    Json(json!({"ScheduleArn": format!("arn:aws:bench:{name}")})).into_response()
}

/// Deletes a one-time schedule. An invocation that has begun is not interrupted, as on AWS: the
/// functions hold it in an environment of their own.
async fn delete_schedule(
    State(endpoints): State<Arc<Endpoints>>,
    Path(name): Path<String>,
) -> Response {
    if let Some(task) = endpoints.schedules.lock().await.remove(&name) {
        task.abort();
        return Json(json!({})).into_response();
    }
    let headers = [("x-amzn-errortype", "ResourceNotFoundException")];
    let body = r#"{"Message":"no such schedule"}"#;
    (StatusCode::NOT_FOUND, headers, body).into_response()
}
