//! Invalid webhooks: wrong fields, and URLs that the deployment does not allow.

use crate::common::{Api, count, validation::assert_refused, webhooks::EVENTS};
use api::{App, routes::router};
use axum::http::StatusCode;
use serde_json::json;
use shared::{
    events::target::{AllowedTargets, LONGEST_URL},
    platform::db::MIGRATOR,
};
use sqlx::MySqlPool;
use uuid::Uuid;

/// Returns a number that changes with the count of webhooks and audit entries.
async fn created_rows(pool: &MySqlPool) -> i64 {
    let sql = "SELECT (SELECT COUNT(*) FROM webhooks) + (SELECT COUNT(*) FROM audit_log) * 1000";
    count(pool, sql).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_new_webhook_is_reported(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let before = created_rows(&pool).await;
    let (url, events) = ("https://example.com/", json!(EVENTS));
    let long = format!("{url}{}", "a".repeat(LONGEST_URL));
    #[rustfmt::skip]
    assert_refused(&admin, "POST", "/v1/webhooks", &[
        (json!({}), &[("url", "missing"), ("events", "missing")]),
        (json!({"url": null, "events": null}), &[("url", "missing"), ("events", "missing")]),
        (json!({"url": 7, "events": "schedule.finished"}), &[("url", "wrong-type"), ("events", "wrong-type")]),
        (json!({"url": "example.com?token=hunter2", "events": events}), &[("url", "not-a-url")]),
        (json!({"url": "", "events": events}), &[("url", "not-a-url")]),
        (json!({"url": long, "events": events}), &[("url", "not-a-url")]),
        (json!({"url": "http://example.com/", "events": events}), &[("url", "not-https")]),
        (json!({"url": "ftp://example.com/", "events": events}), &[("url", "not-https")]),
        (json!({"url": "https://user:hunter2@example.com/", "events": events}), &[("url", "login-in-url")]),
        (json!({"url": url, "events": []}), &[("events", "not-a-choice")]),
        (json!({"url": url, "events": ["*"]}), &[("events", "not-a-choice")]),
        (json!({"url": url, "events": ["schedule.finished", "schedule.ended"]}), &[("events", "not-a-choice")]),
        (json!({"url": url, "events": ["webhook.test"]}), &[("events", "not-a-choice")]),
        (json!({"url": url, "events": [1]}), &[("events", "wrong-type")]),
        (json!({"url": url, "events": events, "description": " "}), &[("description", "out-of-range")]),
        (json!({"url": url, "events": events, "description": "d".repeat(256)}), &[("description", "out-of-range")]),
        (json!({"url": url, "events": events, "secret": "hunter2"}), &[("secret", "unknown-field")]),
        (json!([url]), &[("", "not-an-object")]),
    ]).await;
    assert_eq!(
        created_rows(&pool).await,
        before,
        "nothing was created and nothing was audited"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_webhook_change_is_reported(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let before = created_rows(&pool).await;
    #[rustfmt::skip]
    assert_refused(&admin, "PATCH", &format!("/v1/webhooks/{id}"), &[
        (json!({}), &[("", "nothing-to-change")]),
        (json!({"url": null, "events": null, "disabled": null}), &[("url", "wrong-type"), ("events", "wrong-type"), ("disabled", "wrong-type")]),
        (json!({"url": "https://10.0.0.1/?hunter2"}), &[("url", "private-address")]),
        (json!({"events": []}), &[("events", "not-a-choice")]),
        (json!({"disabled": "no"}), &[("disabled", "wrong-type")]),
        (json!({"description": 7}), &[("description", "wrong-type")]),
        (json!({"disabled_reason": "x"}), &[("disabled_reason", "unknown-field")]),
    ]).await;
    assert_eq!(created_rows(&pool).await, before, "nothing was audited");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unknown_webhook_is_not_found(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    for path in [
        "/v1/webhooks/1",
        "/v1/webhooks/018f0000-0000-7000-8000-000000000000",
        "/v1/webhooks/x/deliveries",
    ] {
        assert_eq!(admin.get(path).await.problem(), "not-found", "{path}");
    }
    for call in ["rotate-secret", "test", "deliveries/repeat-failed"] {
        assert_eq!(
            admin.call_webhook(Uuid::max(), call, None).await.problem(),
            "not-found",
            "{call}"
        );
    }
}

/// URLs that name this machine.
const LOOPBACK: [&str; 5] = [
    "https://localhost/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://[::1]/",
];

/// URLs that name another private address.
const PRIVATE: [&str; 10] = [
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1:8443/hook",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:10.0.0.1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://database.internal/",
    "https://intranet/",
];

#[sqlx::test(migrator = "MIGRATOR")]
async fn private_addresses_are_refused_unless_the_deployment_allows_them(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let local = Api {
        router: router(App {
            webhook_targets: AllowedTargets::Loopback,
            ..admin.app.clone()
        }),
        ..admin.clone()
    };
    for url in LOOPBACK.into_iter().chain(PRIVATE) {
        let body = json!({"url": url, "events": EVENTS});
        let refusals = [(body.clone(), [("url", "private-address")].as_slice())];
        assert_refused(&admin, "POST", "/v1/webhooks", &refusals).await;
        // A local stack allows loopback addresses only.
        let made = local.post_json("/v1/webhooks", &body).await;
        assert_eq!(
            made.status == StatusCode::CREATED,
            LOOPBACK.contains(&url),
            "{url}: {}",
            made.body
        );
    }
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM webhooks").await, 5);
    let plain_http = json!({"url": "http://127.0.0.1:9/hook", "events": EVENTS});
    assert_eq!(
        local.post_json("/v1/webhooks", &plain_http).await.status,
        StatusCode::CREATED
    );
}
