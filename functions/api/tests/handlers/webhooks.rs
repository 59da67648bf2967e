//! Webhooks: created, changed and deleted; their maximum number, and the permissions.

use crate::{
    account_validation::assert_refused,
    common::{Answer, Api, count, insert_key, walk, webhooks::EVENTS},
};
use api::{App, router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::{
    access::Permission,
    events::{
        keys::SharedKeys,
        secret::WebhookKeys,
        target::{AllowedTargets, LONGEST_URL},
    },
    platform::{config::KeySource, db::MIGRATOR},
};
use sqlx::MySqlPool;
use testkit::WEBHOOK_KEYS;
use uuid::Uuid;

/// Derives the secret of a webhook.
fn secret(id: Uuid, no: u32) -> String {
    WebhookKeys::read(WEBHOOK_KEYS)
        .unwrap()
        .secret("test", id, no)
        .unwrap()
        .reveal()
}

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
async fn a_webhook_is_created_changed_and_deleted_and_each_change_is_audited(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let wanted = json!({"url": "https://example.com/hook?token=hunter2", "events": ["messages.final", "schedule.finished", "messages.final"],
        "description": "Shop"});
    let made = admin.post_json("/v1/webhooks", &wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let (id, path) = (made.id(), made.header("location").to_owned());
    assert_eq!(
        (path.as_str(), made.text("secret")),
        (format!("/v1/webhooks/{id}").as_str(), secret(id, 1))
    );
    let shown = admin.get(&path).await;
    let admin_id = admin.me().await.text("id");
    let mut expected = json!({"id": id, "url": wanted["url"], "events": EVENTS, "description": "Shop", "created_at": shown.body["created_at"],
        "created_by": format!("user:{admin_id}"), "disabled_at": null, "disabled_reason": null, "failing_since": null, "rotated_at": null});
    assert_eq!((shown.status, &shown.body), (StatusCode::OK, &expected));

    let changed =
        admin.patch_webhook(id, &json!({"url": "https://example.org", "events": ["schedule.missed"], "description": null})).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    (expected["url"], expected["events"], expected["description"]) = (
        json!("https://example.org/"),
        json!(["schedule.missed"]),
        Value::Null,
    );
    assert_eq!(
        (&changed.body, admin.get(&path).await.body),
        (&expected, expected.clone())
    );

    assert_eq!(
        admin.delete_webhook(id).await.status,
        StatusCode::NO_CONTENT
    );
    for answer in [
        admin.delete_webhook(id).await,
        admin.get(&path).await,
        admin.patch_webhook(id, &json!({"disabled": true})).await,
    ] {
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::NOT_FOUND, "not-found")
        );
    }
    let log = admin.audit(&format!("&resource=webhook:{id}")).await;
    let log: Vec<_> = log
        .iter()
        .rev()
        .map(|entry| {
            [
                &entry["action"],
                &entry["before"]["url"],
                &entry["after"]["url"],
            ]
        })
        .collect();
    let (old, new) = (
        json!("https://example.com/hook"),
        json!("https://example.org/"),
    );
    let [create, change, delete] =
        ["webhook.create", "webhook.change", "webhook.delete"].map(Value::from);
    assert_eq!(
        log,
        [
            [&create, &Value::Null, &old],
            [&change, &old, &new],
            [&delete, &new, &Value::Null]
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn enabling_a_webhook_clears_its_failures(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let disabled = admin.patch_webhook(id, &json!({"disabled": true})).await;
    assert!(
        disabled.body["disabled_at"].is_string() && disabled.body["disabled_reason"].is_null(),
        "{}",
        disabled.body
    );
    assert_eq!(
        admin
            .patch_webhook(id, &json!({"disabled": true}))
            .await
            .body,
        disabled.body,
        "a second call changes nothing"
    );
    let sql = "UPDATE webhooks SET disabled_reason = 'failing', failing_since = '2030-01-01'";
    sqlx::query(sql).execute(&pool).await.unwrap();
    let kept = admin
        .patch_webhook(id, &json!({"disabled": true, "description": "x"}))
        .await;
    assert_eq!(
        (&kept.body["disabled_reason"], &kept.body["disabled_at"]),
        (&json!("failing"), &disabled.body["disabled_at"])
    );
    let enabled = admin.patch_webhook(id, &json!({"disabled": false})).await;
    for member in ["disabled_at", "disabled_reason", "failing_since"] {
        assert!(enabled.body[member].is_null(), "{}", enabled.body);
    }
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

#[sqlx::test(migrator = "MIGRATOR")]
async fn concurrent_creations_never_exceed_20_webhooks(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let mut ids = Vec::new();
    for _ in 0..18 {
        ids.push(json!(admin.webhook().await));
    }
    assert_eq!(
        walk(&admin, "/v1/webhooks?limit=5", "webhooks", "id").await,
        ids
    );
    let mut apis = Vec::new();
    for _ in 0..6 {
        apis.push(Api::new(&pool).await.with(&admin.token));
    }
    let wanted = json!({"url": "https://example.com/", "events": EVENTS});
    let answers = futures_util::future::join_all(
        apis.iter()
            .map(|api| api.post_json("/v1/webhooks", &wanted)),
    )
    .await;
    let (made, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!((made.len(), refused.len()), (2, 4));
    assert!(
        refused
            .iter()
            .all(|answer: &&Answer| (answer.status, answer.problem())
                == (StatusCode::CONFLICT, "too-many-webhooks"))
    );
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM webhooks").await, 20);
    admin.delete_webhook(made[0].id()).await;
    admin.webhook().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn operators_and_keys_read_webhooks_and_only_admins_change_them(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let id = admin.webhook().await;
    let wanted = json!({"url": "https://example.com/", "events": EVENTS});
    let (viewer, operator) = (
        admin.user("vera", "viewer").await,
        admin.user("otto", "operator").await,
    );
    let key = api.with(&insert_key(&pool, &[Permission::WebhooksRead], None).await);
    for (caller, may_read) in [
        (&viewer, false),
        (&operator, true),
        (&key, true),
        (&api, true),
    ] {
        for path in [
            "/v1/webhooks".to_owned(),
            format!("/v1/webhooks/{id}"),
            format!("/v1/webhooks/{id}/deliveries"),
        ] {
            let expected = if may_read {
                StatusCode::OK
            } else {
                StatusCode::FORBIDDEN
            };
            assert_eq!(caller.get(&path).await.status, expected, "{path}");
        }
        for answer in [
            caller.post_json("/v1/webhooks", &wanted).await,
            caller.patch_webhook(id, &json!({"disabled": true})).await,
            caller.delete_webhook(id).await,
            caller.call_webhook(id, "rotate-secret", None).await,
            caller.call_webhook(id, "test", None).await,
            caller
                .call_webhook(id, "deliveries/repeat-failed", None)
                .await,
        ] {
            assert_eq!(
                (answer.problem(), &answer.body["permission"]),
                ("forbidden", &json!("webhooks:write"))
            );
        }
    }
    let key = json!({"name": "n", "permissions": ["webhooks:write"]});
    assert_eq!(
        admin.post_json("/v1/api-keys", &key).await.body["errors"][0]["code"],
        "not-a-choice"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_webhook_is_reported(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let rows = "SELECT (SELECT COUNT(*) FROM webhooks) + (SELECT COUNT(*) FROM audit_log) * 1000";
    let before = count(&pool, rows).await;
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
    assert_eq!(
        count(&pool, rows).await,
        before,
        "nothing was created and nothing was audited"
    );
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

/// The loopback addresses among those below.
const LOOPBACK: [&str; 5] = [
    "https://localhost/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://[::1]/",
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
    let urls = [
        "https://localhost/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.1.1:8443/hook",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://database.internal/",
        "https://intranet/",
    ];
    for url in urls {
        let wanted = json!({"url": url, "events": EVENTS});
        assert_refused(
            &admin,
            "POST",
            "/v1/webhooks",
            &[(wanted.clone(), &[("url", "private-address")])],
        )
        .await;
        // A local stack allows loopback addresses only.
        let is_loopback = LOOPBACK.contains(&url);
        let made = local.post_json("/v1/webhooks", &wanted).await;
        assert_eq!(
            made.status == StatusCode::CREATED,
            is_loopback,
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
