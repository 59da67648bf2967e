//! Secrets of webhooks: shown once, rotated, and derived from the configured keys.

use crate::common::{
    Api, count,
    webhooks::{EVENTS, secret},
};
use api::{App, routes::router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::json;
use shared::{
    events::{keys::SharedKeys, secret::WebhookKeys},
    platform::{config::KeySource, db::MIGRATOR},
};
use sqlx::MySqlPool;
use testkit::WEBHOOK_KEYS;
use uuid::Uuid;

/// Returns the same API with other webhook keys.
async fn with_keys(api: &Api, keys: &str) -> Api {
    let webhook_keys = SharedKeys::open(KeySource::Fixed(keys.to_owned().into()))
        .await
        .unwrap();
    Api {
        router: router(App {
            webhook_keys,
            ..api.app.clone()
        }),
        ..api.clone()
    }
}

/// Returns key id and secret number of a webhook.
async fn key_and_number(pool: &MySqlPool, id: Uuid) -> (String, u32) {
    sqlx::query_as("SELECT key_id, secret_no FROM webhooks WHERE id = ?")
        .bind(id)
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_webhook_secret_is_shown_only_once(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let create = |key: &'static str| {
        let wanted = json!({"url": "https://example.com/", "events": EVENTS}).to_string();
        let request = Request::post("/v1/webhooks")
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let (admin, request) = (admin.clone(), request.body(Body::from(wanted)).unwrap());
        async move { admin.call(request).await }
    };
    let made = create("a").await;
    let id = made.id();
    let rotated = admin.call_webhook(id, "rotate-secret", Some("b")).await;
    assert_eq!(
        (made.text("secret"), rotated.text("secret")),
        (secret(id, 1), secret(id, 2))
    );
    assert!(rotated.body["rotated_at"].is_string(), "{}", rotated.body);
    for again in [
        create("a").await,
        admin.call_webhook(id, "rotate-secret", Some("b")).await,
    ] {
        assert_eq!(
            (again.status, again.problem()),
            (StatusCode::CONFLICT, "idempotency-answer-not-kept")
        );
    }
    assert_eq!(
        key_and_number(&pool, id).await,
        ("test".to_owned(), 2),
        "rotated once"
    );
    let everything = [
        admin.get("/v1/webhooks").await,
        admin.get(&format!("/v1/webhooks/{id}")).await,
        admin.patch_webhook(id, &json!({"disabled": false})).await,
        admin.call_webhook(id, "test", None).await,
        admin.get(&format!("/v1/webhooks/{id}/deliveries")).await,
        admin.get("/v1/audit").await,
    ];
    for answer in everything {
        let text = answer.body.to_string();
        assert!(
            answer.status.is_success() && !text.contains("whsec_") && !text.contains("\"secret\""),
            "{text}"
        );
    }
    let kept = "SELECT COUNT(*) FROM idempotency_keys WHERE body IS NOT NULL";
    assert_eq!(count(&pool, kept).await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_rotation_keeps_the_key_unless_it_was_removed(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let new = json!({"kid": "new", "key": "n".repeat(32)});
    let both = with_keys(&admin, &format!("[{new},{WEBHOOK_KEYS}]")).await;
    assert_eq!(
        both.call_webhook(id, "rotate-secret", None)
            .await
            .text("secret"),
        secret(id, 2),
        "with a new key, the previous secret could not be derived"
    );
    assert_eq!(key_and_number(&pool, id).await, ("test".to_owned(), 2));
    let other = both.webhook().await;
    assert_eq!(
        key_and_number(&pool, other).await,
        ("new".to_owned(), 1),
        "a new webhook uses the newest key"
    );
    let alone = with_keys(&admin, &new.to_string()).await;
    let rotated = alone.call_webhook(id, "rotate-secret", None).await;
    let expected = WebhookKeys::read(&new.to_string())
        .unwrap()
        .secret("new", id, 3)
        .unwrap()
        .reveal();
    assert_eq!(
        (rotated.text("secret"), key_and_number(&pool, id).await),
        (expected, ("new".to_owned(), 3))
    );
    let log = admin
        .audit(&format!(
            "&resource=webhook:{id}&action=webhook.rotate-secret"
        ))
        .await;
    assert_eq!(
        (&log[0]["before"], &log[0]["after"]),
        (
            &json!({"key_id": "test", "secret_no": 2}),
            &json!({"key_id": "new", "secret_no": 3})
        )
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_successful_concurrent_rotation_returns_its_own_secret(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let mut apis = Vec::new();
    for _ in 0..5 {
        apis.push(Api::new(&pool).await.with(&admin.token));
    }
    let answers = futures_util::future::join_all(
        apis.iter()
            .map(|api| api.call_webhook(id, "rotate-secret", None)),
    )
    .await;
    let (good, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::OK);
    assert!(
        refused
            .iter()
            .all(|answer| answer.problem() == "secret-rotated")
    );
    let mut secrets: Vec<_> = good.iter().map(|answer| answer.text("secret")).collect();
    let mut expected: Vec<_> = (2..2 + good.len() as u32)
        .map(|no| secret(id, no))
        .collect();
    secrets.sort();
    expected.sort();
    assert!(!good.is_empty());
    assert_eq!(
        (secrets, key_and_number(&pool, id).await.1),
        (expected, 1 + good.len() as u32)
    );
}
