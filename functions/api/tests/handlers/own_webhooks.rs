//! Webhooks that API keys own by the permission `webhooks:own`: who manages them, the events that
//! they get, and how they end with the key.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::platform::db::{Db, MIGRATOR};
use sqlx::MySqlPool;
use testkit::webhooks;
use uuid::Uuid;

use crate::common::{Answer, Api, count, phones, webhooks::secret};

const GRANTED: [&str; 3] = ["schedules:read", "schedules:write", "webhooks:own"];

/// An API key as its program uses it.
struct Key {
    api: Api,
    id: Uuid,
}

/// Creates a key. `admin` is an administrator.
async fn key(admin: &Api, permissions: &[&str]) -> Key {
    let made = admin
        .post_json(
            "/v1/api-keys",
            &json!({"name": "shop", "permissions": permissions}),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    Key {
        api: admin.with(&made.text("key")),
        id: made.id(),
    }
}

fn hook() -> Value {
    json!({"url": "https://example.com/hook/hunter2", "events": ["schedule.paused"]})
}

impl Key {
    fn actor(&self) -> String {
        format!("key:{}", self.id)
    }

    /// Creates a webhook.
    async fn webhook(&self) -> Uuid {
        let made = self.api.post_json("/v1/webhooks", &hook()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        made.id()
    }

    /// Creates a schedule and pauses it.
    async fn pause_one(&self) {
        let id = self.api.schedule(&phones(0..2)).await;
        assert_eq!(self.api.post_step(id, "pause").await.status, StatusCode::OK);
    }
}

/// Calls every operation on one webhook.
async fn all_calls(api: &Api, id: Uuid) -> Vec<Answer> {
    let event = format!("deliveries/{}/repeat", Uuid::nil());
    vec![
        api.get(&format!("/v1/webhooks/{id}")).await,
        api.get(&format!("/v1/webhooks/{id}/deliveries")).await,
        api.patch_webhook(id, &json!({"description": "x"})).await,
        api.call_webhook(id, "rotate-secret", None).await,
        api.call_webhook(id, "test", None).await,
        api.call_webhook(id, "deliveries/repeat-failed", None).await,
        api.call_webhook(id, &event, None).await,
        api.delete_webhook(id).await,
    ]
}

async fn listed(api: &Api) -> Vec<Uuid> {
    let page = api.get("/v1/webhooks").await;
    let webhooks = page.body["webhooks"].as_array().unwrap();
    webhooks
        .iter()
        .map(|webhook| webhook["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_manages_only_its_own_webhooks(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let global = admin.webhook().await;
    let (one, other) = (key(&admin, &GRANTED).await, key(&admin, &GRANTED).await);
    let made = one.api.post_json("/v1/webhooks", &hook()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let id = made.id();
    assert_eq!(made.text("secret"), secret(id, 1));
    assert_eq!(made.body["owner"], json!(one.actor()));
    assert_eq!(made.body["created_by"], json!(one.actor()));
    assert_eq!(listed(&one.api).await, [id]);
    assert!(listed(&other.api).await.is_empty());
    assert_eq!(listed(&admin).await, [global, id]);
    for (caller, id) in [(&other, id), (&one, global)] {
        for answer in all_calls(&caller.api, id).await {
            assert_eq!(answer.problem(), "not-found");
        }
    }
    let expected = [200, 200, 200, 200, 202, 202, 404, 204];
    let answers = all_calls(&one.api, id).await;
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses, expected, "its own");
    assert_eq!(listed(&admin).await, [global]);
    let entries = admin.audit(&format!("&resource=webhook:{id}")).await;
    assert_eq!(entries.len(), 6, "{entries:?}");
    assert!(entries.iter().all(|entry| {
        entry["actor"] == json!(one.actor()) && !entry.to_string().contains("hunter2")
    }));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn without_the_permission_a_key_has_no_webhooks(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (own, reader) = (
        key(&admin, &GRANTED).await,
        key(&admin, &["webhooks:read", "schedules:write"]).await,
    );
    let id = own.webhook().await;
    for (at, answer) in all_calls(&reader.api, id).await.into_iter().enumerate() {
        if at < 2 {
            assert_eq!(answer.status, StatusCode::OK);
            continue;
        }
        assert_eq!(
            (answer.status, answer.problem(), &answer.body["permission"]),
            (StatusCode::FORBIDDEN, "forbidden", &json!("webhooks:write"))
        );
    }
    let refused = reader.api.post_json("/v1/webhooks", &hook()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    // With both, it reads all, and changes its own.
    let both = key(&admin, &["webhooks:read", "webhooks:own"]).await;
    let second = both.webhook().await;
    assert_eq!(listed(&both.api).await, [id, second]);
    let foreign = both.api.patch_webhook(id, &json!({"disabled": true})).await;
    assert_eq!(foreign.problem(), "not-found");
    assert_eq!(
        both.api.delete_webhook(second).await.status,
        StatusCode::NO_CONTENT
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_own_webhook_gets_only_events_of_schedules_of_its_owner(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (one, other) = (key(&admin, &GRANTED).await, key(&admin, &GRANTED).await);
    let (ones, others) = (one.webhook().await, other.webhook().await);
    let global = admin.post_json("/v1/webhooks", &hook()).await.id();
    one.pause_one().await;
    one.pause_one().await;
    other.pause_one().await;
    let draft = admin.schedule(&phones(0..2)).await;
    admin.post_step(draft, "pause").await;
    let db = Db::from_pool(pool.clone());
    for (webhook, expected) in [(ones, 2), (others, 1), (global, 4)] {
        assert_eq!(webhooks::events(&db, webhook).await.len(), expected);
    }
    // A release that knows no owners reads only this column.
    let seen = "SELECT COUNT(*) FROM webhooks WHERE FIND_IN_SET('schedule.paused', events) > 0";
    assert_eq!(count(&pool, seen).await, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_owner_has_at_most_20_webhooks(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (one, other) = (key(&admin, &GRANTED).await, key(&admin, &GRANTED).await);
    for _ in 0..20 {
        one.webhook().await;
    }
    let refused = one.api.post_json("/v1/webhooks", &hook()).await;
    assert_eq!(refused.problem(), "too-many-webhooks");
    other.webhook().await;
    admin.webhook().await;
}

async fn revoke(admin: &Api, key: &Key) {
    let request = Request::delete(format!("/v1/api-keys/{}", key.id));
    let revoked = admin.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(revoked.status, StatusCode::OK);
}

async fn change_key(admin: &Api, key: &Key, permissions: &[&str]) -> Answer {
    let request = Request::patch(format!("/v1/api-keys/{}", key.id))
        .header("content-type", "application/json")
        .body(Body::from(json!({"permissions": permissions}).to_string()));
    admin.call(request.unwrap()).await
}

async fn disabled_reason(admin: &Api, id: Uuid) -> Value {
    let webhook = admin.get(&format!("/v1/webhooks/{id}")).await.body;
    assert_eq!(
        webhook["disabled_at"].is_null(),
        webhook["disabled_reason"].is_null()
    );
    webhook["disabled_reason"].clone()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_revoked_key_loses_its_webhooks(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (one, other) = (key(&admin, &GRANTED).await, key(&admin, &GRANTED).await);
    let (ones, others) = (one.webhook().await, other.webhook().await);
    let id = one.api.schedule(&phones(0..2)).await;
    revoke(&admin, &one).await;
    assert_eq!(disabled_reason(&admin, ones).await, "key-revoked");
    assert_eq!(disabled_reason(&admin, others).await, Value::Null);
    admin.post_step(id, "pause").await;
    let db = Db::from_pool(pool.clone());
    assert!(webhooks::events(&db, ones).await.is_empty());
    let enabled = admin.patch_webhook(ones, &json!({"disabled": false})).await;
    assert_eq!(enabled.problem(), "webhook-disabled");
    let entries = admin.audit(&format!("&resource=key:{}", one.id)).await;
    assert_eq!(
        entries[0]["after"],
        json!({"revoked": true, "disabled_webhooks": 1})
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_that_loses_the_permission_loses_its_webhooks(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let one = key(&admin, &["webhooks:read"]).await;
    let refused = one.api.post_json("/v1/webhooks", &hook()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let granted = change_key(&admin, &one, &GRANTED).await;
    assert_eq!(
        granted.body["permissions"],
        json!(GRANTED),
        "{}",
        granted.body
    );
    let id = one.webhook().await;
    // A change that keeps the permission keeps the webhooks.
    change_key(&admin, &one, &["webhooks:own"]).await;
    assert_eq!(disabled_reason(&admin, id).await, Value::Null);
    change_key(&admin, &one, &["schedules:read"]).await;
    assert_eq!(disabled_reason(&admin, id).await, "permission-removed");
    let enabled = admin.patch_webhook(id, &json!({"disabled": false})).await;
    assert_eq!(enabled.problem(), "webhook-disabled");
    // With the permission again, they stay disabled until somebody enables them.
    change_key(&admin, &one, &GRANTED).await;
    assert_eq!(disabled_reason(&admin, id).await, "permission-removed");
    let enabled = one.api.patch_webhook(id, &json!({"disabled": false})).await;
    assert_eq!(enabled.body["disabled_at"], Value::Null, "{}", enabled.body);
    let entries = admin
        .audit(&format!("&resource=key:{}&action=key.change", one.id))
        .await;
    assert_eq!(
        (&entries[1]["before"], &entries[1]["after"]),
        (
            &json!({"permissions": "webhooks:own"}),
            &json!({"permissions": "schedules:read", "disabled_webhooks": 1})
        )
    );
    revoke(&admin, &one).await;
    assert_eq!(
        change_key(&admin, &one, &GRANTED).await.problem(),
        "not-found"
    );
    assert_eq!(
        change_key(&admin, &one, &["webhooks:write"])
            .await
            .problem(),
        "invalid-request"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_webhooks_of_an_expired_key_get_nothing(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let end = (Utc::now() + TimeDelta::minutes(10)).trunc_subsecs(0);
    let body = json!({"name": "shop", "permissions": GRANTED, "expires_at": end});
    let made = admin.post_json("/v1/api-keys", &body).await;
    let one = Key {
        api: admin.with(&made.text("key")),
        id: made.id(),
    };
    let id = one.webhook().await;
    let shown = admin.get(&format!("/v1/webhooks/{id}")).await;
    assert_eq!(shown.body["expires_at"], made.body["expires_at"]);
    one.pause_one().await;
    let schedule = one.api.schedule(&phones(0..2)).await;
    let db = Db::from_pool(pool.clone());
    assert_eq!(webhooks::events(&db, id).await.len(), 1);
    admin.db.clock.advance(Duration::from_secs(601));
    assert_eq!(
        admin.post_step(schedule, "pause").await.status,
        StatusCode::OK
    );
    assert_eq!(webhooks::events(&db, id).await.len(), 1);
    let test = admin.call_webhook(id, "test", None).await;
    assert_eq!(test.problem(), "webhook-disabled");
}
