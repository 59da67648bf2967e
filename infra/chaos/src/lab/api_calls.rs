//! An operator's calls of the real API, through its router.

use std::time::Duration;

use api::App;
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, request::Builder},
};
use chrono::{DateTime, TimeDelta, Utc};
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use uuid::Uuid;

use shared::{message::window::Window, platform::db::Db};
use testkit::window;

use super::{
    copies,
    intervention::ApiCall,
    invocation::Invocation,
    plan::OtherSchedule,
    production::{CONNECT_TIMEOUT, pool},
    resends,
    world::World,
};

/// The gateway gives up at thirty seconds.
const CALL_TIME: Duration = Duration::from_secs(30);
/// Seconds from the call to the schedule's time: enough for a one-time schedule, or not enough.
const AHEAD_S: std::ops::RangeInclusive<u32> = 80..=600;
/// The shortest `max_lateness_s` and `send_within_s` that the API allows.
const LEAST_S: u32 = 60;
/// The numbers of each further schedule begin so far after those of the one before.
const NUMBERS_APART: u32 = 20_000;
/// The most recipients that an operator cancels or changes in a call.
const MOST_PLACES: u32 = 5;
/// The minutes for which a window is open each day: more than any run needs to send.
const OPEN_MIN: i32 = 300;
/// The first of the numbers that replace others. No list has them.
const NEW_NUMBERS: u32 = 2_000_000;

impl World {
    /// Configures the plan's limit and posts its schedules. Returns their ids, the main one first.
    pub async fn post_schedules(&self) -> anyhow::Result<Vec<Uuid>> {
        let plan = &self.plan;
        if let Some(limit) = plan.parts_per_second {
            self.call(Uuid::nil(), ApiCall::SetLimit(limit)).await?;
        }
        if let Some(receiver) = &self.receiver {
            let body = json!({"url": receiver.url(), "events": plan.webhook_events});
            let (status, answer) = self.call_api(Request::post("/v1/webhooks"), &body).await?;
            anyhow::ensure!(status.is_success(), "the API refused the webhook: {answer}");
        }
        let ahead_s = plan.ahead_s.unwrap_or_else(|| self.rng.number(AHEAD_S));
        let run_at = self.clock.now() + TimeDelta::seconds(ahead_s.into());
        let mut ids = vec![self.post_main_schedule(run_at).await?];
        for (place, other) in (1_u32..).zip(&plan.others) {
            let OtherSchedule {
                after_s,
                recipients,
            } = *other;
            let run_at = run_at + TimeDelta::seconds(after_s);
            let phones = phones(place * NUMBERS_APART, recipients);
            ids.push(self.post(self.body(run_at, &phones)).await?);
        }
        Ok(ids)
    }

    async fn post_main_schedule(&self, run_at: DateTime<Utc>) -> anyhow::Result<Uuid> {
        let plan = &self.plan;
        let mut body = self.body(run_at, &phones(1, plan.recipients));
        if plan.resends.is_some() {
            body["recipients"] = resends::entries(phones(1, plan.recipients));
        }
        if plan.copies > 1 {
            body["unique_by"] = json!("reference");
            let numbers = phones(1, plan.recipients.div_ceil(plan.copies));
            body["recipients"] = copies::entries(&numbers, plan.recipients);
        }
        if let Some(rate) = plan.rate {
            body["rate"] = rate.into();
        }
        if let Some(send_within_s) = plan.send_within_s {
            body["send_within_s"] = send_within_s.max(LEAST_S).into();
        }
        if let Some(recipients) = plan.canary {
            body["canary"] = json!({"recipients": recipients, "delivered_share": 1});
        }
        if let Some(minutes) = plan.opens_after_min {
            body["window"] = json!(window_from(run_at, minutes));
        }
        let id = self.post(body).await?;
        // Shorter than the API allows.
        sqlx::query("UPDATE schedules SET send_within_s = ? WHERE id = ?")
            .bind(plan.send_within_s)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(id)
    }

    fn body(&self, run_at: DateTime<Utc>, phones: &[String]) -> Value {
        let plan = &self.plan;
        json!({
            "run_at": run_at.to_rfc3339(),
            "message": plan.text,
            "recipients": phones,
            "max_attempts": plan.max_attempts,
            "max_lateness_s": plan.max_lateness_s.max(LEAST_S),
            "on_uncertain": if plan.resends_uncertain { "resend" } else { "hold" },
        })
    }

    async fn post(&self, body: Value) -> anyhow::Result<Uuid> {
        let (status, answer) = self.call_api(Request::post("/v1/schedules"), &body).await?;
        anyhow::ensure!(
            status.is_success(),
            "the API refused the schedule: {answer}"
        );
        let id: Uuid = answer["id"].as_str().unwrap_or_default().parse()?;
        sqlx::query("UPDATE schedules SET max_lateness_s = ? WHERE id = ?")
            .bind(self.plan.max_lateness_s)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(id)
    }

    /// Calls the API. An answer that it is too late is fine. Returns false on a server error, after
    /// which an operator repeats the call.
    pub async fn call(&self, id: Uuid, call: ApiCall) -> anyhow::Result<bool> {
        let path = |step: &str| format!("/v1/schedules/{id}{step}");
        let (request, body) = match call {
            ApiCall::Cancel => (Request::post(path("/cancel")), Value::Null),
            ApiCall::Pause => (Request::post(path("/pause")), Value::Null),
            ApiCall::Resume => (Request::post(path("/resume")), json!({ "now": true })),
            ApiCall::SendNow => (Request::post(path("/send-now")), Value::Null),
            ApiCall::Retry => (Request::post(path("/retry")), Value::Null),
            ApiCall::Resend => return self.resend(id).await,
            ApiCall::ErasePerson => {
                let place = self.rng.number(1..=self.plan.recipients);
                return self.erase_person(&phones(place, 1)[0]).await;
            }
            ApiCall::Append(count) => {
                let first = 1000 + self.rng.number(0..=8) * 1000;
                (
                    Request::post(path("/recipients")),
                    json!({ "recipients": phones(first, count) }),
                )
            }
            ApiCall::CancelRecipients => {
                let entries = self.random_places().map(|seq| json!({ "seq": seq }));
                (
                    Request::post(path("/recipients/cancel")),
                    json!({ "recipients": entries.collect::<Vec<_>>() }),
                )
            }
            ApiCall::ChangeNumbers => {
                let first = NEW_NUMBERS + self.rng.number(0..=10_000) * MOST_PLACES;
                let numbers = phones(first, MOST_PLACES);
                let entries = self.random_places().zip(numbers);
                let entries =
                    entries.map(|(seq, phone)| json!({"seq": seq, "set": {"phone": phone}}));
                (
                    Request::patch(path("/recipients")),
                    json!({ "recipients": entries.collect::<Vec<_>>() }),
                )
            }
            ApiCall::SetLimit(parts_per_second) => (
                Request::patch("/v1/carriers/main"),
                json!({ "parts_per_second": parts_per_second }),
            ),
            ApiCall::Reschedule(in_s) => (
                Request::patch(path("")),
                json!({ "run_at": (self.clock.now() + TimeDelta::seconds(in_s)).to_rfc3339() }),
            ),
            ApiCall::ChangeText => {
                let text = format!(
                    "Your parcel has the number {}.",
                    self.rng.number(1..=99_999)
                );
                (Request::patch(path("")), json!({ "message": text }))
            }
            ApiCall::ChangeWindow(in_min) => (
                Request::patch(path("")),
                json!({ "window": window_from(self.clock.now(), in_min) }),
            ),
        };
        let (status, _) = self.call_api(request, &body).await?;
        if matches!(call, ApiCall::ChangeText | ApiCall::ChangeWindow(_)) {
            self.changes.record(self.clock.now(), status);
        }
        Ok(!status.is_server_error())
    }

    /// Returns places of the main list, at least one.
    fn random_places(&self) -> impl Iterator<Item = u32> {
        let count = self.rng.number(1..=MOST_PLACES);
        (0..count).map(|_| self.rng.number(1..=self.plan.recipients))
    }

    async fn call_api(
        &self,
        request: Builder,
        body: &Value,
    ) -> anyhow::Result<(StatusCode, Value)> {
        self.call_app(self.app.clone(), request, body).await
    }

    /// Calls the API in an environment of its own, which may be killed. Returns `None` if it was.
    pub async fn call_in_environment(
        &self,
        request: Builder,
        kill_after: Option<Duration>,
    ) -> anyhow::Result<Option<(StatusCode, Value)>> {
        let database = pool(&self.options, CONNECT_TIMEOUT);
        let app = App {
            db: Db::with_one_connection(database.clone(), self.clock.clone()),
            ..self.app.clone()
        };
        let call = self.call_app(app, request, &Value::Null);
        // Fault points tell invocations apart only where they freeze them.
        let answer = Invocation::new(0, CALL_TIME).run(call, kill_after).await;
        // The kernel closes the connection of a process that has ended.
        tokio::time::timeout(Duration::from_secs(1), database.close())
            .await
            .ok();
        answer.transpose()
    }

    /// Calls an API other than the one that all calls share.
    pub async fn call_app(
        &self,
        app: App,
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
        let answer = api::routes::router(app).oneshot(request).await?;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// Returns a window that opens so many minutes after a time, for [`OPEN_MIN`].
fn window_from(at: DateTime<Utc>, minutes: i32) -> Window {
    window::daily(at, minutes..minutes + OPEN_MIN)
}

fn phones(first: u32, count: u32) -> Vec<String> {
    (first..first + count)
        .map(|place| format!("+6012{:07}", 1_000_000 + place))
        .collect()
}
