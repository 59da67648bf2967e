//! What bounds a key: the end of its validity, the networks from which it may be used, and the person
//! whose key it is.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Answer, Api};
use api::http::origin::Gateway;

async fn create(admin: &Api, fields: Value) -> Answer {
    let mut body = json!({"name": "shop", "permissions": ["schedules:read", "schedules:write"]});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    admin.post_json("/v1/api-keys", &body).await
}

async fn patch(admin: &Api, path: &str, body: &Value) -> Answer {
    let request = Request::patch(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()));
    admin.call(request.unwrap()).await
}

/// Lists schedules from an address.
async fn list_from(api: &Api, address: &str) -> Answer {
    let mut request = Request::get("/v1/schedules").body(Body::empty()).unwrap();
    request.extensions_mut().insert(Gateway {
        address: Some(address.to_owned()),
        ..Gateway::default()
    });
    api.call(request).await
}

fn end_of(answer: &Answer) -> DateTime<Utc> {
    answer.text("expires_at").parse().unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_is_valid_for_a_year_unless_its_creator_says_otherwise(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let made = create(&admin, json!({})).await;
    let days = (end_of(&made) - admin.db.now()).num_days();
    assert!((364..=365).contains(&days), "{}", made.body);
    let endless = create(&admin, json!({"expires_at": null})).await;
    assert_eq!(endless.body["expires_at"], Value::Null, "{}", endless.body);

    let path = format!("/v1/api-keys/{}", made.id());
    let later = admin.db.now() + TimeDelta::days(800);
    let changed = patch(&admin, &path, &json!({"expires_at": later})).await;
    assert_eq!(
        (end_of(&changed) - later).num_seconds(),
        0,
        "{}",
        changed.body
    );
    assert_eq!(changed.body["permissions"], made.body["permissions"]);
    let endless = patch(&admin, &path, &json!({"expires_at": null})).await;
    assert_eq!(endless.body["expires_at"], Value::Null);
    for (body, code) in [
        (json!({}), "nothing-to-change"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "in-the-past"),
        (json!({"expires_at": "soon"}), "not-a-time"),
        (json!({"allowed_addresses": []}), "out-of-range"),
        (
            json!({"allowed_addresses": ["example.org"]}),
            "not-a-network",
        ),
        (
            json!({"allowed_addresses": ["203.0.113.0/33"]}),
            "not-a-network",
        ),
    ] {
        let refused = patch(&admin, &path, &body).await;
        assert_eq!(refused.body["errors"][0]["code"], code, "{}", refused.body);
    }
    let entries = admin
        .audit(&format!("&resource=key:{}&action=key.change", made.id()))
        .await;
    assert_eq!(entries.len(), 2, "a refused change is none");
    assert_eq!(entries[0]["after"], json!({"expires_at": null}));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_is_refused_from_other_addresses(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let networks = json!(["203.0.113.9/24", "2001:db8::/32"]);
    let made = create(&admin, json!({"allowed_addresses": networks})).await;
    assert_eq!(
        made.body["allowed_addresses"],
        json!(["203.0.113.0/24", "2001:db8::/32"]),
        "{}",
        made.body
    );
    let machine = api.with(&made.text("key"));
    for (address, status) in [
        ("203.0.113.77", StatusCode::OK),
        ("2001:db8::1", StatusCode::OK),
        ("203.0.114.1", StatusCode::UNAUTHORIZED),
        ("2001:db9::1", StatusCode::UNAUTHORIZED),
    ] {
        let answer = list_from(&machine, address).await;
        assert_eq!(answer.status, status, "{address}: {}", answer.body);
    }
    assert_eq!(
        machine.get("/v1/schedules").await.status,
        StatusCode::UNAUTHORIZED,
        "an unknown address is in no network"
    );
    let path = format!("/v1/api-keys/{}", made.id());
    patch(&admin, &path, &json!({"allowed_addresses": null})).await;
    assert_eq!(
        list_from(&machine, "203.0.114.1").await.status,
        StatusCode::OK
    );
}

/// A person with an account, and a key of that person.
struct Person {
    path: String,
    key_path: String,
    machine: Api,
}

async fn person(admin: &Api, role: &str, permissions: &[&str]) -> Person {
    let user = json!({"username": "ana", "role": role});
    let user = admin.post_json("/v1/users", &user).await.id();
    let fields = json!({"user_id": user, "permissions": permissions});
    let made = create(admin, fields).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(made.body["user_id"], json!(user));
    Person {
        path: format!("/v1/users/{user}"),
        key_path: format!("/v1/api-keys/{}", made.id()),
        machine: admin.with(&made.text("key")),
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_key_of_a_person_has_at_most_the_permissions_of_the_role(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let granted = ["schedules:read", "schedules:write", "audit:read"];
    let Person { path, machine, .. } = person(&admin, "operator", &granted).await;
    let me = machine.get("/v1/auth/me").await.body;
    assert_eq!(
        me["permissions"],
        json!(["schedules:read", "schedules:write"])
    );
    assert_eq!(machine.get("/v1/audit").await.problem(), "forbidden");
    patch(&admin, &path, &json!({"role": "viewer"})).await;
    let me = machine.get("/v1/auth/me").await.body;
    assert_eq!(me["permissions"], json!(["schedules:read"]));
    patch(&admin, &path, &json!({"role": "admin"})).await;
    assert_eq!(machine.get("/v1/audit").await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_keys_of_a_person_end_with_the_account(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let Person {
        path,
        key_path,
        machine,
    } = person(&admin, "admin", &["schedules:read", "webhooks:own"]).await;
    let hook = json!({"url": "https://example.com/hook", "events": ["schedule.paused"]});
    let hook = machine.post_json("/v1/webhooks", &hook).await.id();
    let disabled = patch(&admin, &path, &json!({"disabled": true})).await;
    assert_eq!(disabled.status, StatusCode::OK, "{}", disabled.body);
    assert_eq!(
        machine.get("/v1/schedules").await.problem(),
        "unauthenticated"
    );
    let key = admin.get(&key_path).await.body;
    assert!(key["revoked_at"].is_string(), "{key}");
    let webhook = admin.get(&format!("/v1/webhooks/{hook}")).await.body;
    assert_eq!(webhook["disabled_reason"], "key-revoked", "{webhook}");
    let entries = admin.audit("&action=user.change").await;
    assert_eq!(
        entries[0]["after"]["ended"],
        json!({"keys": 1, "webhooks": 1})
    );
    // An account that is enabled again does not bring its keys back.
    patch(&admin, &path, &json!({"disabled": false})).await;
    assert_eq!(
        machine.get("/v1/schedules").await.problem(),
        "unauthenticated"
    );
    let refused = create(&admin, json!({"user_id": Uuid::nil()})).await;
    assert_eq!(
        (
            &refused.body["errors"][0]["field"],
            &refused.body["errors"][0]["code"]
        ),
        (&json!("user_id"), &json!("not-found"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_person_who_loses_the_role_loses_the_webhooks_of_the_key(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let Person { path, machine, .. } = person(&admin, "admin", &["webhooks:own"]).await;
    let hook = json!({"url": "https://example.com/hook", "events": ["schedule.paused"]});
    let hook = machine.post_json("/v1/webhooks", &hook).await.id();
    patch(&admin, &path, &json!({"role": "operator"})).await;
    let webhook = admin.get(&format!("/v1/webhooks/{hook}")).await.body;
    assert_eq!(
        webhook["disabled_reason"], "permission-removed",
        "{webhook}"
    );
}
