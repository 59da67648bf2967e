//! The API on a stage, its gate, and an API key.
#![allow(dead_code, reason = "not each test binary uses all functions")]

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use api::{
    App,
    auth::{Gate, limits::Rate, tokens::KeySource},
    resources::{
        api_keys::create::{KeyRequest, new_key as make_key},
        api_keys::store::insert_api_key,
        receipts::secrets::Callbacks,
        schedules::forecast::DeploymentCapacity,
    },
};
use axum::{
    body::{Body, to_bytes},
    http::{HeaderValue, Request},
};
use chrono::TimeDelta;
use lambda_http::tower::ServiceExt;
use serde_json::Value;
use shared::{
    access::Permission,
    events::target::AllowedTargets,
    message::phone::{AllowedCountries, AllowedTypes},
    platform::{db::Db, secret::hash_token},
};
use testkit::{FakeQueue, FakeScheduler, Stage};
use uuid::Uuid;

/// Opens a gate whose rate limit no test reaches.
pub async fn open() -> Gate {
    let keys = r#"{"kid":"test","key":"a key of at least thirty-two characters"}"#.to_owned();
    Gate::open(
        KeySource::Fixed(keys.into()),
        Rate {
            per_minute: 1_000_000,
        },
    )
    .await
    .unwrap()
}

/// Creates an API key with all permissions that a key can have. Returns the value of its
/// `authorization` header.
pub async fn new_key(db: &Db) -> HeaderValue {
    let request = KeyRequest {
        name: "test".to_owned(),
        permissions: Permission::GRANTABLE.to_vec(),
        ..KeyRequest::default()
    };
    let (row, key) = make_key(&request, "test".to_owned(), db.now());
    insert_api_key(&mut db.acquire().await.unwrap(), &row, &hash_token(&key))
        .await
        .unwrap();
    HeaderValue::try_from(format!("Bearer {key}")).unwrap()
}

/// Creates the API on the stage's database and queues. Messages to dispatch's queue and to
/// EventBridge are lost, and no carrier may push receipts.
pub async fn app(stage: &Stage) -> App {
    App {
        db: stage.db.clone(),
        dispatch_queue: FakeQueue::new(),
        recheck_queue: stage.recheck_queue.clone(),
        notify_queue: stage.notify_queue.clone(),
        webhook_keys: testkit::webhook_keys().await,
        webhook_targets: AllowedTargets::Public,
        scheduler: FakeScheduler::new(),
        dead_letters: Vec::new(),
        dispatch_lead: Duration::from_secs(90),
        capacity: DeploymentCapacity::default(),
        // A few transactions also for the short lists of tests.
        resend_chunk: 2,
        countries: AllowedCountries::all(),
        number_types: AllowedTypes::default(),
        approval: api::resources::schedules::approval::rule::ApprovalRule::default(),
        quiet_time: TimeDelta::minutes(5),
        gate: open().await,
        receipt_format: shared::carrier::registry::ADAPTERS[0].receipts,
        callbacks: Callbacks::open(None).await.unwrap(),
        edge: api::http::edge::Edge::default(),
        commit: "test".into(),
    }
}

/// Makes a call with a new API key. Asserts that it succeeds, and returns its body.
pub async fn call(app: &App, mut request: Request<Body>) -> Value {
    let key = new_key(&app.db).await;
    request.headers_mut().insert("authorization", key);
    answer(app, request).await
}

/// Makes a call. Asserts that it succeeds, and returns its body.
pub async fn answer(app: &App, request: Request<Body>) -> Value {
    let answer = api::routes::router(app.clone())
        .oneshot(request)
        .await
        .unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(status.is_success(), "{status}: {body}");
    body
}

/// Posts a JSON body with a new API key. Asserts that the call succeeds, and returns its body.
pub async fn post(app: &App, path: &str, body: &Value) -> Value {
    let request = Request::post(path).header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    call(app, request).await
}

/// Gets a resource with a new API key. Asserts that the call succeeds, and returns its body.
pub async fn get(app: &App, path: &str) -> Value {
    call(app, Request::get(path).body(Body::empty()).unwrap()).await
}

/// The API on a stage, with the queue and the scheduler to which it sends.
pub struct Api {
    pub app: App,
    pub dispatch_queue: Arc<FakeQueue>,
    pub scheduler: Arc<FakeScheduler>,
}

impl Api {
    pub async fn new(stage: &Stage) -> Self {
        let (dispatch_queue, scheduler) = (FakeQueue::new(), FakeScheduler::new());
        let app = App {
            dispatch_queue: dispatch_queue.clone(),
            scheduler: scheduler.clone(),
            ..app(stage).await
        };
        Self {
            app,
            dispatch_queue,
            scheduler,
        }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        post(&self.app, path, body).await
    }

    /// Creates a schedule and returns its id.
    pub async fn create(&self, body: &Value) -> Uuid {
        let created = self.post("/v1/schedules", body).await;
        created["id"].as_str().unwrap().parse().unwrap()
    }
}

/// Returns the numbers of a range of recipients.
pub fn phones(seqs: RangeInclusive<u32>) -> Vec<String> {
    seqs.map(testkit::fixture::phone).collect()
}
