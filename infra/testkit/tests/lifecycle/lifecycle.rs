//! One schedule with its workers, its API and its webhook: the operations that a step executes.

use std::{sync::Mutex, time::Duration};

use api::App;
use axum::{
    body::{Body, to_bytes},
    http::{HeaderValue, Method, Request, StatusCode},
};
use chrono::{DateTime, TimeDelta, Utc};
use lambda_http::tower::ServiceExt;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use shared::{events::EventType, message::window::Window, platform::queue::BatchMessage};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, webhooks, window};
use uuid::Uuid;

use super::{gate, states::Call};

pub struct Lifecycle {
    pub stage: Stage,
    app: App,
    key: HeaderValue,
    pub id: Uuid,
    /// The count of sent messages that the last pause or cancel returned.
    pub already_sent: Option<u64>,
    /// The hours in which messages may be sent.
    pub window: Option<Window>,
    /// A webhook that subscribes to all events.
    pub webhook: Uuid,
    /// The events of the successful calls, in the order of the calls.
    pub expected_events: Mutex<Vec<&'static str>>,
}

impl Lifecycle {
    /// Empties the tables and creates a draft of twelve recipients.
    pub async fn new(pool: &MySqlPool, with_window: bool) -> Self {
        empty_tables(pool).await;
        let settings = Settings {
            latency_ms: 10,
            ..Settings::default()
        };
        let stage = Stage::new(pool.clone(), settings).await;
        fixture::reset_carrier(&stage.db).await;
        let app = gate::app(&stage).await;
        let key = gate::new_key(&app.db).await;
        let all_events = EventType::ALL.map(EventType::as_str).join(",");
        let webhook = webhooks::insert(&stage.db, "https://example.com/hook", &all_events).await;
        let mut lifecycle = Self {
            stage,
            app,
            key,
            id: Uuid::nil(),
            already_sent: None,
            window: None,
            webhook,
            expected_events: Mutex::default(),
        };
        let phones: Vec<_> = (1..=12).map(fixture::phone).collect();
        let now = lifecycle.stage.db.now();
        let run_at = (now + TimeDelta::seconds(100)).to_rfc3339();
        let window = with_window.then(|| window::daily(now, 3..13));
        let body = json!({"run_at": run_at, "message": "Hello", "recipients": phones, "draft": true, "max_lateness_s": 600,
            "window": window});
        let (status, created) = lifecycle.http(Method::POST, "", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        lifecycle.window = window;
        lifecycle.id = created["id"].as_str().unwrap().parse().unwrap();
        lifecycle
    }

    async fn http(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let path = if self.id.is_nil() {
            "/v1/schedules".to_owned()
        } else {
            format!("/v1/schedules/{}{path}", self.id)
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        let request = request
            .header("authorization", self.key.clone())
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = api::routes::router(self.app.clone())
            .oneshot(request)
            .await
            .unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Makes a call, and adds its event to the expected ones if it succeeds and is no repetition.
    pub async fn call(&self, call: Call) -> (StatusCode, Value) {
        // No worker pauses or cancels, so that work in progress does not change what this decides.
        let before = fixture::status(&self.stage.db, self.id).await;
        let (status, answer) = self.request(call).await;
        let event = match call {
            Call::Pause if before != "paused" => "schedule.paused",
            Call::Resume => "schedule.resumed",
            Call::Cancel if before != "cancelled" => "schedule.cancelled",
            _ => return (status, answer),
        };
        if status.is_success() {
            self.expected_events.lock().unwrap().push(event);
        }
        (status, answer)
    }

    async fn request(&self, call: Call) -> (StatusCode, Value) {
        let post = |path: &'static str| self.http(Method::POST, path, &Value::Null);
        match call {
            Call::Activate => post("/activate").await,
            Call::Pause => post("/pause").await,
            Call::Resume => {
                let now = json!({"now": true});
                self.http(Method::POST, "/resume", &now).await
            }
            Call::Cancel => post("/cancel").await,
            Call::SendNow => post("/send-now").await,
            Call::Append => {
                let phones = json!([fixture::phone(13), fixture::phone(14)]);
                self.http(Method::POST, "/recipients", &phones).await
            }
            Call::Text => {
                let text = json!({"message": "Hello again"});
                self.http(Method::PATCH, "", &text).await
            }
            Call::Rate => self.http(Method::PATCH, "", &json!({"rate": 10})).await,
        }
    }

    /// Processes all waiting messages. A batch that is not due yet is not claimed, so no worker
    /// waits; the sweep enqueues it again.
    pub async fn work(&self, twice: bool) {
        let now = self.stage.db.now();
        for batch in self.stage.send_queue.take_batches() {
            for _ in 0..=u8::from(twice) {
                if self.is_due(batch, now).await {
                    self.stage.send(batch).await;
                }
            }
        }
        for batch in self.stage.recheck_queue.take_batches() {
            for _ in 0..=u8::from(twice) {
                self.stage.recheck(batch).await;
            }
        }
    }

    /// Returns whether a batch is due. A pass that is claimed slightly early sleeps until its time,
    /// which would make the test slow.
    async fn is_due(&self, batch: BatchMessage, now: DateTime<Utc>) -> bool {
        fixture::batch(&self.stage.db, batch)
            .await
            .send_at
            .is_none_or(|at| at <= now)
    }

    pub async fn sweep(&self) {
        self.stage.dispatcher.sweep(|| true).await.unwrap();
    }

    pub fn wait(&self, seconds: u16) {
        self.stage
            .db
            .clock
            .advance(Duration::from_secs(seconds.into()));
    }

    pub async fn status(&self) -> String {
        fixture::status(&self.stage.db, self.id).await
    }

    /// Returns how many numbers the carrier has accepted a message for.
    pub fn accepted(&self) -> u64 {
        self.stage.acceptances().len() as u64
    }

    /// Brings the schedule from any state to its end, as an operator would.
    pub async fn finish(&mut self) -> Result<(), TestCaseError> {
        let (rounds, seconds) = if self.window.is_some() {
            (500, 400)
        } else {
            (60, 60)
        };
        for _ in 0..rounds {
            let status = self.status().await;
            if status == "finished" {
                break;
            }
            let next_call = self.next_call(&status).await;
            // The workers follow a call at once. Otherwise a batch that is sent after all, at the
            // only step of a day that is in the window, would wait until after it, every day.
            let seconds = if next_call.is_some() { 1 } else { seconds };
            if let Some(call) = next_call {
                let (status, _) = self.call(call).await;
                // A draft whose time has passed can only be cancelled.
                if status == StatusCode::CONFLICT && call == Call::Activate {
                    let (_, answer) = self.call(Call::Cancel).await;
                    self.already_sent = answer["already_sent"].as_u64();
                }
            }
            self.wait(seconds);
            self.sweep().await;
            self.work(false).await;
            if self.open_batches().await == 0 && self.status().await == "cancelled" {
                break;
            }
        }
        Ok(())
    }

    /// Returns the call that an operator makes next to complete the schedule, if one is needed.
    async fn next_call(&self, status: &str) -> Option<Call> {
        let (_, view) = self.http(Method::GET, "", &Value::Null).await;
        let missed_batches = view["attention"]["missed_batches"].as_u64();
        match status {
            "draft" => Some(Call::Activate),
            "paused" => Some(Call::Resume),
            "missed" => Some(Call::SendNow),
            "running" if missed_batches > Some(0) => Some(Call::SendNow),
            _ => None,
        }
    }

    /// Returns the times of the batches and of the turns, for the message of a failed test.
    pub async fn batches_and_turns(&self) -> Vec<String> {
        let sql = "SELECT CONCAT_WS(' ', 'batch', batch_no, waiting, COALESCE(send_at, '-'), COALESCE(check_at, '-'), COALESCE(sweep_at, '-'),
              COALESCE(claimed_until, '-'), crashes, tries, requeues, planned_at) FROM batches
            UNION ALL SELECT CONCAT_WS(' ', 'turn', ready_at, next_send_at, virtual_parts) FROM turns
            UNION ALL SELECT CONCAT_WS(' ', 'carrier', COALESCE(progress_at, '-'), COALESCE(outage_from, '-'), COALESCE(outage_until, '-')) FROM carriers";
        let mut lines: Vec<String> = sqlx::query_scalar(sql)
            .fetch_all(&self.stage.db)
            .await
            .unwrap();
        lines.push(format!("now {}", self.stage.db.now()));
        lines
    }

    async fn open_batches(&self) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM batches WHERE sweep_at IS NOT NULL")
            .fetch_one(&self.stage.db)
            .await
            .unwrap()
    }
}

async fn empty_tables(pool: &MySqlPool) {
    for table in [
        "turns",
        "batches",
        "recipients",
        "schedules",
        "webhooks",
        "webhook_deliveries",
    ] {
        sqlx::query(&format!("DELETE FROM {table}"))
            .execute(pool)
            .await
            .unwrap();
    }
}
