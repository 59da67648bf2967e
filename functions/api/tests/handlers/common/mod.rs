//! The router with a real database, and with a queue and a scheduler in memory that can be broken.
#![allow(dead_code, clippy::unwrap_used)]

pub mod dead_letters;
pub mod document;
pub mod operations;
pub mod random_calls;
pub mod receipts;
pub mod rows;
pub mod states;
pub mod uncertain;
pub mod users;
pub mod validation;
pub mod webhooks;

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::{
    App, RESEND_CHUNK,
    auth::{Gate, limits::Rate, tokens::KeySource},
    resources::{
        api_keys::{
            create::{KeyRequest, new_key},
            store::insert_api_key,
        },
        attention::dead_letter_queue::NamedDeadLetterQueue,
        receipts::secrets::Callbacks,
        schedules::forecast::DeploymentCapacity,
    },
    routes::router,
};
use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use chrono::{DateTime, TimeDelta, Utc};
use dead_letters::FakeDeadLetterQueue;
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use shared::{
    access::Permission,
    events::target::AllowedTargets,
    message::phone::{AllowedCountries, AllowedTypes},
    platform::{
        db::Db,
        queue::{DispatchMessage, Outgoing, Queue},
        scheduler::OneTimeScheduler,
        secret::hash_token,
    },
};
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};
use testkit::FakeQueue;
use uuid::Uuid;

pub const LEAD: Duration = Duration::from_secs(90);

/// The clients of the API in memory, and the calls that they received.
#[derive(Default)]
pub struct Fakes {
    pub broken: AtomicBool,
    pub queued: Mutex<Vec<DispatchMessage>>,
    pub sweeps: AtomicUsize,
    pub created: Mutex<Vec<(DispatchMessage, DateTime<Utc>)>>,
    pub deleted: Mutex<Vec<DispatchMessage>>,
    pub rechecks: Arc<FakeQueue>,
    pub deliveries: Arc<FakeQueue>,
    pub send_dead_letters: Arc<FakeDeadLetterQueue>,
    pub dispatch_dead_letters: Arc<FakeDeadLetterQueue>,
}

#[async_trait]
impl Queue for Fakes {
    async fn send(&self, messages: &[Outgoing]) -> Vec<usize> {
        if self.broken.load(Ordering::Relaxed) {
            return (0..messages.len()).collect();
        }
        for message in messages {
            if *message == Outgoing::sweep() {
                self.sweeps.fetch_add(1, Ordering::Relaxed);
            } else {
                self.queued
                    .lock()
                    .unwrap()
                    .push(serde_json::from_str(&message.body).unwrap());
            }
        }
        Vec::new()
    }

    async fn backlog(&self) -> anyhow::Result<u64> {
        Ok(0)
    }

    async fn visible_messages(&self) -> anyhow::Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl OneTimeScheduler for Fakes {
    async fn create(&self, message: DispatchMessage, fire_at: DateTime<Utc>) -> anyhow::Result<()> {
        anyhow::ensure!(!self.broken.load(Ordering::Relaxed), "broken");
        self.created.lock().unwrap().push((message, fire_at));
        Ok(())
    }

    async fn delete(&self, message: DispatchMessage) -> anyhow::Result<()> {
        anyhow::ensure!(!self.broken.load(Ordering::Relaxed), "broken");
        self.deleted.lock().unwrap().push(message);
        Ok(())
    }
}

/// An HTTP response with its body as JSON.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// Returns the slug of the problem type.
    pub fn problem(&self) -> &str {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.body
        );
        assert_eq!(self.body["status"], self.status.as_u16());
        self.body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("/problems/")
            .unwrap()
    }

    /// Returns the id of the created resource.
    pub fn id(&self) -> Uuid {
        self.body["id"]
            .as_str()
            .unwrap_or_else(|| panic!("no id in {}", self.body))
            .parse()
            .unwrap()
    }
}

/// The API as a client calls it. Like the function itself, it uses one connection.
#[derive(Clone)]
pub struct Api {
    pub router: Router,
    pub app: App,
    pub fakes: Arc<Fakes>,
    pub db: Db,
    /// The bearer token of each call. An empty token is not sent.
    pub token: String,
}

impl Api {
    pub async fn new(pool: &MySqlPool) -> Self {
        let one = MySqlPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(20));
        let db = Db::from_pool(
            one.connect_with((*pool.connect_options()).clone())
                .await
                .unwrap(),
        );
        let fakes = Arc::<Fakes>::default();
        let app = App {
            db: db.clone(),
            dispatch_queue: fakes.clone(),
            recheck_queue: fakes.rechecks.clone(),
            notify_queue: fakes.deliveries.clone(),
            webhook_keys: testkit::webhook_keys().await,
            webhook_targets: AllowedTargets::Public,
            scheduler: fakes.clone(),
            dead_letters: vec![
                NamedDeadLetterQueue {
                    name: "send".to_owned(),
                    queue: fakes.send_dead_letters.clone(),
                },
                NamedDeadLetterQueue {
                    name: "dispatch".to_owned(),
                    queue: fakes.dispatch_dead_letters.clone(),
                },
            ],
            dispatch_lead: LEAD,
            quiet_time: TimeDelta::seconds(300),
            capacity: DeploymentCapacity::default(),
            resend_chunk: RESEND_CHUNK,
            countries: AllowedCountries::all(),
            number_types: AllowedTypes::default(),
            approval: api::resources::schedules::approval::rule::ApprovalRule::default(),
            gate: gate(Rate {
                per_minute: 100_000,
            })
            .await,
            receipt_format: shared::carrier::registry::ADAPTERS[0].receipts,
            callbacks: Callbacks::open(Some(KeySource::Fixed(receipts::SECRETS.to_owned().into())))
                .await
                .unwrap(),
            edge: api::http::edge::Edge::default(),
            commit: "c0ffee".to_owned(),
        };
        Self {
            router: router(app.clone()),
            app,
            fakes,
            db,
            token: insert_key(pool, &Permission::GRANTABLE, None).await,
        }
    }

    /// Returns the same API with another token.
    pub fn with(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Sends a request, and checks the response against the OpenAPI document.
    pub async fn call(&self, mut request: Request<Body>) -> Answer {
        if !self.token.is_empty() && !request.headers().contains_key("authorization") {
            request.headers_mut().insert(
                "authorization",
                format!("Bearer {}", self.token).parse().unwrap(),
            );
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (parts, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = document::read(parts.status, &parts.headers, body.into());
        document::check(&method, &path, (parts.status, &parts.headers, &body));
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub async fn send(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        self.call(
            Request::post(path)
                .header("content-type", content_type)
                .body(body.into())
                .unwrap(),
        )
        .await
    }

    pub async fn post(&self, body: &Value) -> Answer {
        self.send("/v1/schedules", "application/json", body.to_string())
            .await
    }

    /// Creates a schedule of these numbers, due in one hour. Without numbers it is a draft.
    pub async fn schedule(&self, phones: &[String]) -> Uuid {
        let mut body = request();
        body["recipients"] = json!(phones);
        body["draft"] = json!(phones.is_empty());
        let answer = self.post(&body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.id()
    }

    pub async fn append(
        &self,
        id: Uuid,
        query: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> Answer {
        self.send(
            &format!("/v1/schedules/{id}/recipients{query}"),
            content_type,
            body,
        )
        .await
    }

    pub async fn patch(&self, id: Uuid, body: &Value) -> Answer {
        let request = Request::patch(format!("/v1/schedules/{id}"))
            .header("content-type", "application/json");
        self.call(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(path, "application/json", body.to_string()).await
    }

    /// Posts to a state change of a schedule: `pause`, `resume`, `cancel`, ….
    pub async fn post_step(&self, id: Uuid, step: &str) -> Answer {
        self.call(
            Request::post(format!("/v1/schedules/{id}/{step}"))
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }
}

/// Creates a gate with fixed keys and no external issuer.
pub async fn gate(rate: Rate) -> Gate {
    let keys = json!({"kid": "test", "key": "a key of at least thirty-two characters"}).to_string();
    Gate::open(KeySource::Fixed(keys.into()), rate)
        .await
        .unwrap()
}

/// Creates an API key and returns it.
pub async fn insert_key(
    pool: &MySqlPool,
    permissions: &[Permission],
    messages_per_day: Option<u32>,
) -> String {
    let request = KeyRequest {
        name: "test".to_owned(),
        permissions: permissions.to_vec(),
        messages_per_day,
        ..KeyRequest::default()
    };
    let (row, key) = new_key(&request, "test".to_owned(), Utc::now());
    insert_api_key(&mut pool.acquire().await.unwrap(), &row, &hash_token(&key))
        .await
        .unwrap();
    key
}

/// A valid request for a schedule in one hour, without recipients.
pub fn request() -> Value {
    json!({"run_at": in_seconds(3_600), "message": "Hello"})
}

pub fn in_seconds(seconds: i64) -> String {
    (Utc::now() + TimeDelta::seconds(seconds)).to_rfc3339()
}

/// Returns distinct valid phone numbers.
pub fn phones(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("+1201{}", 2_000_000 + n)).collect()
}

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Returns the number that a query selects.
pub async fn count(pool: &MySqlPool, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Follows the cursors of a list to its end, and returns one field of each row.
pub async fn walk(api: &Api, path: &str, rows: &str, member: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("{path}{cursor}")).await.body;
        found.extend(
            page[rows]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row[member].clone()),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            return found;
        };
        cursor = format!("&cursor={next}");
    }
}
