//! Webhooks: created, changed and deleted; their maximum number, and the permissions.

use crate::common::{
    Answer, Api, count, insert_key, walk,
    webhooks::{EVENTS, secret},
};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;
use uuid::Uuid;

/// The audit entries of a webhook, oldest first, as action and URL before and after.
async fn audited_urls(admin: &Api, id: Uuid) -> Vec<[Value; 3]> {
    let entries = admin.audit(&format!("&resource=webhook:{id}")).await;
    let urls = |entry: &Value| {
        [
            &entry["action"],
            &entry["before"]["url"],
            &entry["after"]["url"],
        ]
        .map(Clone::clone)
    };
    entries.iter().rev().map(urls).collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_webhook_is_created_and_changed(pool: MySqlPool) {
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
    let mut expected = json!({"id": id, "url": wanted["url"], "events": EVENTS, "labels": [], "owner": null, "callback": false, "expires_at": null, "description": "Shop", "created_at": shown.body["created_at"],
        "created_by": format!("user:{admin_id}"), "disabled_at": null, "disabled_reason": null, "failing_since": null,
        "failures": 0, "accepted_at": null, "suspended_until": null, "rotated_at": null});
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
}

/// The audit log keeps no query of a URL, because it can contain a secret.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_webhook_is_deleted_and_each_change_is_audited(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let path = format!("/v1/webhooks/{id}");
    admin
        .patch_webhook(id, &json!({"url": "https://example.org"}))
        .await;
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
    let audited = audited_urls(&admin, id).await;
    let [old, new] = [&audited[0][2], &audited[1][2]];
    assert_eq!(
        audited,
        [
            [&json!("webhook.create"), &Value::Null, old],
            [&json!("webhook.change"), old, new],
            [&json!("webhook.delete"), new, &Value::Null],
        ]
        .map(|entry| entry.map(Value::clone))
    );
    let [old, new] = [old, new].map(|url| url.as_str().unwrap());
    assert!(old.starts_with("https://example.com/…") && new.starts_with("https://example.org/…"));
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
    let sql = "UPDATE webhooks SET disabled_reason = 'failing', failing_since = '2030-01-01', failures = 9, suspended_until = '2030-01-01'";
    sqlx::query(sql).execute(&pool).await.unwrap();
    let kept = admin
        .patch_webhook(id, &json!({"disabled": true, "description": "x"}))
        .await;
    assert_eq!(
        (&kept.body["disabled_reason"], &kept.body["disabled_at"]),
        (&json!("failing"), &disabled.body["disabled_at"])
    );
    assert_eq!(
        (&kept.body["failures"], &kept.body["suspended_until"]),
        (&json!(9), &json!("2030-01-01T00:00:00Z"))
    );
    let enabled = admin.patch_webhook(id, &json!({"disabled": false})).await;
    for member in [
        "disabled_at",
        "disabled_reason",
        "failing_since",
        "suspended_until",
    ] {
        assert!(enabled.body[member].is_null(), "{}", enabled.body);
    }
    assert_eq!(enabled.body["failures"], 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_new_url_closes_the_circuit_and_a_test_or_repeat_ends_the_suspension(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let sql = "UPDATE webhooks SET failures = 4, accepted_at = created_at, suspended_until = '2099-01-01'";
    for path in ["test", "deliveries/repeat-failed"] {
        sqlx::query(sql).execute(&pool).await.unwrap();
        let answer = admin.call_webhook(id, path, None).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        let ended =
            "SELECT COUNT(*) FROM webhooks WHERE failures = 4 AND suspended_until < '2099-01-01'";
        assert_eq!(count(&pool, ended).await, 1, "{path}");
    }
    sqlx::query(sql).execute(&pool).await.unwrap();
    let same = admin.patch_webhook(id, &json!({"description": "x"})).await;
    assert_eq!(same.body["suspended_until"], "2099-01-01T00:00:00Z");
    let moved = admin
        .patch_webhook(id, &json!({"url": "https://example.org/new"}))
        .await;
    assert_eq!(moved.body["failures"], 0);
    assert!(moved.body["suspended_until"].is_null() && moved.body["accepted_at"].is_null());
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
    let all = Permission::GRANTABLE
        .into_iter()
        .filter(|permission| *permission != Permission::WebhooksOwn);
    let api = api.with(&insert_key(&pool, &all.collect::<Vec<_>>(), None).await);
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
