//! Failed logins: which later logins they delay, and what the audit log contains of them.

use std::time::Duration;

use crate::common::{Answer, Api, count, users::PASSWORD};
use api::http::origin::Gateway;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// Logs `root` in from an address, with the token of a device or none.
async fn log_in_from(api: &Api, address: &str, password: &str, device: Option<&str>) -> Answer {
    let body = json!({"username": "root", "password": password, "device_token": device});
    let mut request = Request::post("/v1/auth/login")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    request.extensions_mut().insert(Gateway {
        address: Some(address.to_owned()),
        request_id: None,
    });
    api.with("").call(request).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn failed_logins_of_others_do_not_lock_a_user_out(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let (office, elsewhere) = ("192.0.2.1", "198.51.100.1");
    let first = log_in_from(&api, office, PASSWORD, None).await;
    let device = first.text("device_token");
    // A stranger fails so often that the name is locked for that network for a quarter of an hour.
    for _ in 0..12 {
        log_in_from(&api, elsewhere, "not the password", None).await;
        api.db.clock.advance(Duration::from_secs(20));
    }
    let locked = log_in_from(&api, elsewhere, PASSWORD, None).await;
    assert_eq!(locked.problem(), "login-locked");
    let elsewhere_known = log_in_from(&api, elsewhere, PASSWORD, Some(&device)).await;
    assert_eq!(
        elsewhere_known.status,
        StatusCode::OK,
        "the device is known"
    );
    let owner = log_in_from(&api, office, PASSWORD, None).await;
    assert_eq!(owner.status, StatusCode::OK, "{}", owner.body);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_known_device_has_a_count_of_its_own_and_needs_the_password(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let device = log_in_from(&api, "192.0.2.1", PASSWORD, None)
        .await
        .text("device_token");
    let again = log_in_from(&api, "192.0.2.1", PASSWORD, Some(&device)).await;
    assert_eq!(again.text("device_token"), device, "the same token");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let failed = log_in_from(&api, "192.0.2.1", "not the password", Some(&device)).await;
        statuses.push(failed.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    let other = log_in_from(&api, "192.0.2.1", PASSWORD, None).await;
    assert_eq!(other.status, StatusCode::OK, "others are not delayed by it");
    assert_ne!(other.text("device_token"), device);
    let nobody = json!({"username": "né ☃", "password": "x", "device_token": device});
    let nobody = api.with("").post_json("/v1/auth/login", &nobody).await;
    assert_eq!(nobody.problem(), "wrong-credentials");
    // A change of the password forgets all devices.
    let session = api.with(&other.text("access_token"));
    let change =
        json!({"current_password": PASSWORD, "new_password": "another staple of some length"});
    let changed = session.post_json("/v1/auth/password", &change).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.body);
    let left = count(&pool, "SELECT COUNT(*) FROM known_devices").await;
    assert_eq!(left, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_typed_as_a_username_is_not_recorded(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    api.log_in("hunter2-is-my-password", "x", None).await;
    api.log_in("root", "not the password", None).await;
    let log = admin.audit("&action=login.fail").await;
    let root = admin.me().await.text("id");
    let resources: Vec<_> = log.iter().map(|entry| &entry["resource"]).collect();
    assert_eq!(
        resources,
        [&json!(format!("user:{root}")), &json!("user:unknown")]
    );
    assert!(!json!(log).to_string().contains("hunter2"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_right_temporary_password_is_no_failed_login(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let made = json!({"username": "ana", "role": "viewer"});
    let made = admin.post_json("/v1/users", &made).await;
    let temporary = made.text("temporary_password");
    // A page tries the password alone first, and asks for a new one then.
    for _ in 0..12 {
        let refused = api.log_in("ana", &temporary, None).await;
        assert_eq!(refused.problem(), "password-change-required");
    }
    let changed = api.log_in("ana", &temporary, Some(PASSWORD)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
}
