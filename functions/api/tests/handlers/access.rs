//! API keys, permissions, rate limits, CORS and the audit log.

use std::time::Duration;

use crate::common::{Api, count, insert_key, phones, request};
use api::{App, auth::Gate, routes::router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{TimeDelta, Utc};
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;
use uuid::Uuid;

fn delete(path: &str) -> Request<Body> {
    Request::delete(path).body(Body::empty()).unwrap()
}

/// A request for a key that may read schedules for one hour.
fn reader_key() -> Value {
    json!({"name": "shop", "permissions": ["schedules:read"], "expires_at": Utc::now() + TimeDelta::hours(1)})
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_is_shown_once_and_admits_only_its_permissions(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let made = admin.post_json("/v1/api-keys", &reader_key()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let (key, path) = (made.text("key"), format!("/v1/api-keys/{}", made.id()));
    assert!(
        key.starts_with(&made.text("prefix")) && key.len() == 65,
        "{key}"
    );
    let machine = api.with(&key);
    assert_eq!(machine.get("/v1/schedules").await.status, StatusCode::OK);
    let row = admin.get(&path).await;
    assert!(
        row.body["last_used_at"].is_string() && !row.body.to_string().contains(&key),
        "{}",
        row.body
    );

    let refused = machine.post(&request()).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::FORBIDDEN, "forbidden")
    );
    let challenge = "Bearer realm=\"sms\", error=\"insufficient_scope\", scope=\"schedules:write\"";
    assert_eq!(refused.header("www-authenticate"), challenge);
    assert_eq!(machine.get("/v1/users").await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_admits_calls_until_it_is_revoked_or_expires(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let made = admin.post_json("/v1/api-keys", &reader_key()).await;
    let machine = api.with(&made.text("key"));
    assert_eq!(machine.get("/v1/schedules").await.status, StatusCode::OK);
    let path = format!("/v1/api-keys/{}", made.id());
    assert!(admin.call(delete(&path)).await.body["revoked_at"].is_string());
    assert_eq!(
        machine.get("/v1/schedules").await.problem(),
        "unauthenticated"
    );
    assert_eq!(
        admin.call(delete(&path)).await.status,
        StatusCode::OK,
        "a second call changes nothing"
    );
    let second = admin.post_json("/v1/api-keys", &reader_key()).await;
    let second = api.with(&second.text("key"));
    assert_eq!(second.get("/v1/schedules").await.status, StatusCode::OK);
    api.db.clock.advance(Duration::from_secs(3_601));
    assert_eq!(
        second.get("/v1/schedules").await.status,
        StatusCode::UNAUTHORIZED
    );
    let revocations = admin
        .with(&insert_key(&pool, &[Permission::AuditRead], None).await)
        .audit("&action=key.revoke")
        .await;
    assert_eq!(
        (revocations.len(), &revocations[0]["resource"]),
        (1, &json!(format!("key:{}", made.id())))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_missing_or_invalid_token_is_refused_with_a_challenge(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let anonymous = api.with("").get("/v1/schedules").await;
    assert_eq!(
        (anonymous.status, anonymous.problem()),
        (StatusCode::UNAUTHORIZED, "unauthenticated")
    );
    assert_eq!(anonymous.header("www-authenticate"), "Bearer realm=\"sms\"");
    for token in [
        "x",
        "a.b.c",
        "sms_",
        "sms_aaaaaaaa_bbbb",
        "eyJhbGciOiJub25lIn0.e30.",
    ] {
        let answer = api.with(token).get("/v1/schedules").await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNAUTHORIZED, "unauthenticated"),
            "{token}"
        );
        assert!(
            answer
                .header("www-authenticate")
                .contains("error=\"invalid_token\""),
            "{token}"
        );
    }
    for value in ["Basic eHg6eHg=", "Bearer", "Bearer  x", "bearer x y"] {
        let request = Request::get("/v1/schedules")
            .header("authorization", value)
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            api.call(request).await.status,
            StatusCode::UNAUTHORIZED,
            "{value}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_cannot_exceed_its_daily_recipient_limit(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let key = api.with(&insert_key(&pool, &Permission::GRANTABLE, Some(5)).await);
    let id = key.schedule(&phones(0..3)).await;
    let refused = key
        .append(id, "", "text/csv", phones(3..6).join("\n"))
        .await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::TOO_MANY_REQUESTS, "daily-limit")
    );
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("at most 2 more"),
        "{}",
        refused.body
    );
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM recipients").await, 3);
    let repeated = key
        .append(id, "", "text/csv", phones(0..5).join("\n"))
        .await;
    assert_eq!(
        (repeated.status, &repeated.body["accepted"]),
        (StatusCode::OK, &json!(2)),
        "recipients that are already stored do not count"
    );
    let mut body = request();
    body["recipients"] = json!(phones(9..10));
    assert_eq!(key.post(&body).await.problem(), "daily-limit");
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 1);
    assert_eq!(
        api.post(&body).await.status,
        StatusCode::CREATED,
        "the limit is per key"
    );
    api.db.clock.advance(Duration::from_secs(86_400));
    assert_eq!(
        key.append(id, "", "text/csv", phones(3..6).join("\n"))
            .await
            .body["accepted"],
        1
    );
}

/// Creates a schedule, and makes six changes and two refused calls.
async fn changed_schedule(api: &Api) -> Uuid {
    let id = api.schedule(&phones(0..2)).await;
    api.append(id, "", "text/csv", phones(2..3).join("\n"))
        .await;
    api.patch(id, &json!({"run_at": Utc::now() + TimeDelta::hours(2)}))
        .await;
    for step in ["pause", "resume", "cancel", "cancel", "pause"] {
        api.post_step(id, step).await;
    }
    id
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_change_is_audited_and_refused_calls_are_not(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = changed_schedule(&api).await;
    let entries = api.audit(&format!("&resource=schedule:{id}")).await;
    let actions: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let expected = [
        "schedule.create",
        "schedule.append",
        "schedule.change",
        "schedule.pause",
        "schedule.resume",
        "schedule.cancel",
    ];
    assert_eq!(actions, expected);
    let cancel = &entries[0];
    assert_eq!(
        (&cancel["before"]["status"], &cancel["after"]["status"]),
        (&json!("scheduled"), &json!("cancelled"))
    );
    assert_eq!(
        (&cancel["actor_name"], &cancel["address"]),
        (&json!("test"), &json!("unknown"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_audit_log_is_filtered_by_actor_and_time_and_paged(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = changed_schedule(&api).await;
    let entries = api.audit("").await;
    let actor = entries[0]["actor"].as_str().unwrap();
    assert_eq!(
        api.audit(&format!("&actor={actor}&action=schedule.pause"))
            .await
            .len(),
        1
    );
    assert_eq!(
        api.get(&format!("/v1/schedules/{id}")).await.body["created_by"],
        actor
    );
    let soon = (Utc::now() + TimeDelta::minutes(1)).format("%FT%TZ");
    assert_eq!(
        (
            api.audit(&format!("&from={soon}")).await.len(),
            api.audit(&format!("&to={soon}")).await.len()
        ),
        (0, 6)
    );
    let walked = crate::common::walk(&api, "/v1/audit?limit=2", "entries", "id").await;
    assert_eq!(walked.len(), 6);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn browsers_may_call_only_from_configured_origins(pool: MySqlPool) {
    let mut api = Api::new(&pool).await;
    let origins = vec!["https://console.example.com".parse().unwrap()];
    api.router = router(App {
        gate: Gate {
            cors_origins: origins,
            ..api.app.gate.clone()
        },
        ..api.app.clone()
    });
    let preflight = |origin: &str| {
        let request = Request::options("/v1/schedules")
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        let request = request
            .header("access-control-request-headers", "authorization")
            .body(Body::empty())
            .unwrap();
        api.router.clone().oneshot(request)
    };
    let allowed = preflight("https://console.example.com").await.unwrap();
    let header = |name: &str| {
        allowed
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    };
    assert_eq!(
        (allowed.status(), header("access-control-allow-origin")),
        (StatusCode::OK, "https://console.example.com")
    );
    assert!(header("access-control-allow-headers").contains("authorization"));
    for other in [
        "https://console.example.com.evil.example",
        "http://console.example.com",
        "null",
    ] {
        let refused = preflight(other).await.unwrap();
        assert!(
            !refused
                .headers()
                .contains_key("access-control-allow-origin"),
            "{other}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_valid_request_id_is_echoed_and_others_are_replaced(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for (given, kept) in [("my-id.7", true), ("no good", false), ("", false)] {
        let answer = api
            .call(
                Request::get("/nowhere")
                    .header("x-request-id", given)
                    .body(Body::empty())
                    .unwrap(),
            )
            .await;
        assert_eq!(answer.header("x-request-id") == given, kept, "{given}");
        assert!(!answer.header("x-request-id").is_empty());
        assert_eq!(
            (
                answer.header("cache-control"),
                answer.header("x-content-type-options")
            ),
            ("no-store", "nosniff")
        );
    }
}
