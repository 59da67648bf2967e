//! One schedule with its workers, its API and its webhook: the operations that a step executes.

use std::{collections::HashMap, time::Duration};

use api::{App, resources::schedules::approval::rule::ApprovalRule};
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode},
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use shared::{events::EventType, message::window::Window, platform::queue::BatchMessage};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, webhooks, window};
use uuid::Uuid;

use super::{
    approvals::{ABOVE, Approvals},
    budget::DayBudget,
    companions::Companion,
    gate,
    limits::Limits,
    model::{LABEL, Model, failing_numbers},
    subscribers::Subscribers,
};

pub struct Lifecycle {
    pub stage: Stage,
    pub app: App,
    pub key: HeaderValue,
    /// The current schedule.
    pub id: Uuid,
    /// The schedules before it, which were finished or cancelled, with their recipients' lines.
    pub ended: Vec<(Uuid, Vec<String>)>,
    /// Who is in the list of the current schedule.
    pub model: Model,
    /// The time from which the next poll asks for changes.
    pub changed_since: String,
    /// The state of each message that the polls have shown.
    pub polled: HashMap<(String, u64), Value>,
    /// The count of sent messages that the last pause or cancel returned.
    pub already_sent: Option<u64>,
    /// The hours in which messages may be sent.
    pub window: Option<Window>,
    /// A webhook that subscribes to all events.
    pub webhook: Uuid,
    /// The webhooks of the key.
    pub subscribers: Option<Subscribers>,
    /// Schedules of next year: one with the label, and one with another.
    pub companions: Vec<Companion>,
    /// The events of the successful calls, in the order of the calls.
    pub expected_events: Vec<(Uuid, &'static str)>,
    /// What is approved, if schedules need that.
    pub approvals: Option<Approvals>,
    /// The budget that applies, if there is one.
    pub budget: Option<DayBudget>,
}

impl Lifecycle {
    /// Empties the tables and creates a draft of twelve recipients.
    pub async fn new(pool: &MySqlPool, with_window: bool, limits: Limits) -> Self {
        empty_tables(pool).await;
        let settings = Settings {
            latency_ms: 10,
            undeliv_prefixes: failing_numbers(),
            ..Settings::default()
        };
        let stage = Stage::new(pool.clone(), settings).await;
        fixture::reset_carrier(&stage.db).await;
        let mut app = gate::app(&stage).await;
        if limits.approvals {
            app.approval = ApprovalRule::parse(ABOVE, "").unwrap();
        }
        let key = gate::new_key(&app.db).await;
        let all_events = EventType::ALL.map(EventType::as_str).join(",");
        let webhook = webhooks::insert(&stage.db, "https://example.com/hook", &all_events).await;
        let mut lifecycle = Self {
            stage,
            app,
            key,
            id: Uuid::nil(),
            ended: Vec::new(),
            model: Model::first(),
            changed_since: String::new(),
            polled: HashMap::new(),
            already_sent: None,
            window: None,
            webhook,
            subscribers: None,
            companions: Vec::new(),
            expected_events: Vec::new(),
            approvals: limits.approvals.then(Approvals::default),
            budget: None,
        };
        lifecycle.subscribe_webhooks().await;
        lifecycle.create_companions().await;
        let recipients: Vec<_> = lifecycle.model.recipients.values().collect();
        let recipients: Vec<_> = recipients
            .iter()
            .map(|recipient| recipient.entry())
            .collect();
        let now = lifecycle.stage.db.now();
        lifecycle.changed_since = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let run_at = (now + TimeDelta::seconds(100)).to_rfc3339();
        let window = with_window.then(|| window::daily(now, 3..13));
        let body = json!({"run_at": run_at, "message": "Hello", "recipients": recipients, "draft": true, "max_lateness_s": 600,
            "window": window, "labels": [LABEL], "max_attempts": 1});
        let (status, created) = lifecycle
            .http_at(Method::POST, "/v1/schedules", &body)
            .await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        lifecycle.window = window;
        lifecycle.id = created["id"].as_str().unwrap().parse().unwrap();
        lifecycle
    }

    /// Calls the API for the current schedule.
    pub async fn http(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        self.http_at(method, &format!("/v1/schedules/{}{path}", self.id), body)
            .await
    }

    /// Calls the API.
    pub async fn http_at(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let (status, _, body) = self.answer(&self.key, method, path, body).await;
        (status, body)
    }

    /// Reads from the API.
    pub async fn get(&self, path: &str) -> (HeaderMap, Value) {
        let answer = self.answer(&self.key, Method::GET, path, &Value::Null);
        let (status, headers, body) = answer.await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        (headers, body)
    }

    /// Calls the API with a key or a token.
    pub async fn answer(
        &self,
        key: &HeaderValue,
        method: Method,
        path: &str,
        body: &Value,
    ) -> (StatusCode, HeaderMap, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", key.clone());
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let answer = api::routes::router(self.app.clone())
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap()
        };
        (parts.status, parts.headers, body)
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

    /// Returns how often the carrier has accepted a message of the current schedule to each number.
    pub fn accepted_by_number(&self) -> HashMap<String, usize> {
        self.model.accepted(&self.ledger())
    }

    /// Returns how often the carrier has accepted a message to each number.
    pub fn ledger(&self) -> HashMap<String, usize> {
        let acceptances = self.stage.acceptances().into_iter();
        acceptances
            .map(|(number, times)| (format!("+{}", number.trim_start_matches('+')), times))
            .collect()
    }

    /// Returns how many numbers the carrier has accepted a message of the current schedule for.
    pub fn accepted(&self) -> u64 {
        self.accepted_by_number().len() as u64
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
}

async fn empty_tables(pool: &MySqlPool) {
    for table in [
        "turns",
        "batches",
        "recipients",
        "schedules",
        "schedule_labels",
        "schedule_resends",
        "schedule_summaries",
        "recipient_references",
        "attempts",
        "webhook_labels",
        "webhooks",
        "webhook_deliveries",
        "budgets",
        "spending",
    ] {
        sqlx::query(&format!("DELETE FROM {table}"))
            .execute(pool)
            .await
            .unwrap();
    }
}
