//! An operator's calls of the real API, through its router.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, request::Builder},
};
use chrono::TimeDelta;
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{intervention::ApiCall, world::World};

/// Seconds from the call to the schedule's time: enough for a one-time schedule, or not enough.
const AHEAD_S: std::ops::RangeInclusive<u32> = 80..=600;

impl World {
    /// Posts the plan's schedule.
    pub async fn post_schedule(&self) -> anyhow::Result<Uuid> {
        let plan = &self.plan;
        let run_at = self.clock.now() + TimeDelta::seconds(self.rng.number(AHEAD_S).into());
        let mut body = json!({
            "run_at": run_at.to_rfc3339(),
            "message": plan.text,
            "recipients": phones(1, plan.recipients),
            "max_attempts": plan.max_attempts,
            "max_lateness_s": plan.max_lateness_s,
            "on_uncertain": if plan.resends_uncertain { "resend" } else { "hold" },
        });
        if let Some(rate) = plan.rate {
            body["rate"] = rate.into();
        }
        let (status, answer) = self.call_api(Request::post("/v1/schedules"), &body).await?;
        anyhow::ensure!(
            status.is_success(),
            "the API refused the schedule: {answer}"
        );
        Ok(answer["id"].as_str().unwrap_or_default().parse()?)
    }

    /// Calls the API. An answer that it is too late is fine. Returns false on a server error, after
    /// which an operator repeats the call.
    pub async fn call(&self, id: Uuid, call: ApiCall) -> anyhow::Result<bool> {
        let path = |step: &str| format!("/v1/schedules/{id}{step}");
        let (request, body) = match call {
            ApiCall::Cancel => (Request::post(path("/cancel")), Value::Null),
            ApiCall::Pause => (Request::post(path("/pause")), Value::Null),
            ApiCall::Resume => (Request::post(path("/resume")), Value::Null),
            ApiCall::SendNow => (Request::post(path("/send-now")), Value::Null),
            ApiCall::Retry => (Request::post(path("/retry")), Value::Null),
            ApiCall::Append(count) => {
                let first = 1000 + self.rng.number(0..=8) * 1000;
                (
                    Request::post(path("/recipients")),
                    json!({ "recipients": phones(first, count) }),
                )
            }
            ApiCall::Reschedule(in_s) => (
                Request::patch(path("")),
                json!({ "run_at": (self.clock.now() + TimeDelta::seconds(in_s)).to_rfc3339() }),
            ),
        };
        let (status, _) = self.call_api(request, &body).await?;
        Ok(!status.is_server_error())
    }

    async fn call_api(
        &self,
        request: Builder,
        body: &Value,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = request
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.key))
            .body(body)?;
        let answer = api::router(self.app.clone()).oneshot(request).await?;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

fn phones(first: u32, count: u32) -> Vec<String> {
    (first..first + count)
        .map(|place| format!("+6012{:07}", 1_000_000 + place))
        .collect()
}
