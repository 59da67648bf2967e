//! The API on a stage, its gate, and a key to it.
#![allow(dead_code, reason = "one of the test binaries logs in nobody")]

use std::time::Duration;

use api::{
    App,
    auth::{Gate, tokens::KeySource},
    resources::{
        api_keys::create::{KeyRequest, new_key as make_key},
        receipts::secrets::Callbacks,
        schedules::forecast::Capacity,
    },
};
use api::{auth::limits::Rate, resources::api_keys::store::insert_api_key};
use axum::http::HeaderValue;
use chrono::TimeDelta;
use shared::{
    access::Permission,
    events::target::AllowedTargets,
    platform::{db::Db, secret::hash_token},
};
use testkit::{FakeQueue, FakeScheduler, Stage};

/// A gate that asks of its callers only to have a key.
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

/// A new key that may do all that a key may, as a header's value.
pub async fn new_key(db: &Db) -> HeaderValue {
    let request = KeyRequest {
        name: "test".to_owned(),
        permissions: Permission::GRANTABLE.to_vec(),
        ..KeyRequest::default()
    };
    let (row, key) = make_key(&request, "nobody".to_owned(), db.now());
    insert_api_key(
        &mut db.pool.acquire().await.unwrap(),
        &row,
        &hash_token(&key),
    )
    .await
    .unwrap();
    HeaderValue::try_from(format!("Bearer {key}")).unwrap()
}

/// The API on the stage's rows and queues, but for dispatch's, which is forgotten, as EventBridge is; no carrier pushes.
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
        capacity: Capacity::default(),
        quiet_time: TimeDelta::minutes(5),
        gate: open().await,
        callbacks: Callbacks::open(None).await.unwrap(),
        commit: "test".into(),
    }
}
