//! Invalid input to the routes for sessions, users, API keys and the audit log, as tables of
//! request and expected errors. No invalid request changes a row.

use crate::common::{
    Api, count,
    users::PASSWORD,
    validation::{assert_refused, field_errors},
};
use axum::http::StatusCode;
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// Returns the number of failed logins that count for the locks.
async fn login_failures(pool: &MySqlPool) -> i64 {
    let sql = "SELECT CAST(COALESCE(SUM(failures), 0) AS SIGNED) FROM login_guards";
    count(pool, sql).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_login_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let failures = login_failures(&pool).await;
    let anonymous = api.with("");
    let (long, short) = ("p".repeat(1_025), "p".repeat(11));
    #[rustfmt::skip]
    assert_refused(&anonymous, "POST", "/v1/auth/login", &[
        (json!({}), &[("username", "missing"), ("password", "missing")]),
        (json!({"username": null, "password": PASSWORD}), &[("username", "missing")]),
        (json!({"username": 7, "password": ["hunter2"]}), &[("username", "wrong-type"), ("password", "wrong-type")]),
        (json!({"username": "root", "password": ""}), &[("password", "out-of-range")]),
        (json!({"username": "", "password": PASSWORD}), &[("username", "out-of-range")]),
        (json!({"username": "root", "password": long}), &[("password", "out-of-range")]),
        (json!({"username": "root", "password": PASSWORD, "new_password": short}), &[("new_password", "too-short")]),
        (json!({"username": "root", "password": PASSWORD, "new_password": long}), &[("new_password", "too-long")]),
        (json!({"username": "root", "password": PASSWORD, "otp": "1"}), &[("otp", "unknown-field")]),
        (json!("root"), &[("", "not-an-object")]),
    ]).await;
    #[rustfmt::skip]
    assert_refused(&anonymous, "POST", "/v1/auth/refresh", &[
        (json!({}), &[("refresh_token", "missing")]),
        (json!({"refresh_token": 1}), &[("refresh_token", "wrong-type")]),
        (json!({"refresh_token": ""}), &[("refresh_token", "out-of-range")]),
        (json!({"refresh_token": "x", "scope": "admin"}), &[("scope", "unknown-field")]),
    ]).await;
    assert_eq!(
        login_failures(&pool).await,
        failures,
        "a request that cannot be a login is not counted as a failure"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_password_change_is_reported(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let failures = login_failures(&pool).await;
    let short = "p".repeat(11);
    #[rustfmt::skip]
    assert_refused(&admin, "POST", "/v1/auth/password", &[
        (json!({}), &[("current_password", "missing"), ("new_password", "missing")]),
        (json!({"current_password": PASSWORD, "new_password": PASSWORD}), &[("new_password", "not-new")]),
        (json!({"current_password": PASSWORD, "new_password": short}), &[("new_password", "too-short")]),
        (json!({"current_password": "hunter2 hunter2", "new_password": "another staple of some length"}), &[("current_password", "wrong")]),
    ]).await;
    assert_eq!(login_failures(&pool).await - failures, 1);
    assert_eq!(
        admin.me().await.status,
        StatusCode::OK,
        "the session remains valid"
    );
}

/// Returns a number that changes with the count of users, keys and audit entries.
async fn created_rows(pool: &MySqlPool) -> i64 {
    let sql = "SELECT (SELECT COUNT(*) FROM users) + (SELECT COUNT(*) FROM api_keys) * 1000
        + (SELECT COUNT(*) FROM audit_log) * 1000000";
    count(pool, sql).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_user_is_reported(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let before = created_rows(&pool).await;
    let id = admin.me().await.text("id");
    #[rustfmt::skip]
    assert_refused(&admin, "POST", "/v1/users", &[
        (json!({}), &[("username", "missing"), ("role", "missing")]),
        (json!({"username": "", "role": "viewer"}), &[("username", "not-a-username")]),
        (json!({"username": "ana maria", "role": "viewer"}), &[("username", "not-a-username")]),
        (json!({"username": "añа", "role": "viewer"}), &[("username", "not-a-username")]),
        (json!({"username": "a".repeat(65), "role": "viewer"}), &[("username", "not-a-username")]),
        (json!({"username": "ana", "role": "root"}), &[("role", "not-a-choice")]),
        (json!({"username": "ana", "role": ["admin"]}), &[("role", "wrong-type")]),
        (json!({"username": "ana", "role": "viewer", "password": "hunter2"}), &[("password", "unknown-field")]),
    ]).await;
    #[rustfmt::skip]
    assert_refused(&admin, "PATCH", &format!("/v1/users/{id}"), &[
        (json!({}), &[("", "nothing-to-change")]),
        (json!({"role": "owner"}), &[("role", "not-a-choice")]),
        (json!({"disabled": "no"}), &[("disabled", "wrong-type")]),
        (json!({"username": "other"}), &[("username", "unknown-field")]),
    ]).await;
    assert_eq!(
        created_rows(&pool).await,
        before,
        "nothing was created and nothing was audited"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_an_api_key_is_reported(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let before = created_rows(&pool).await;
    #[rustfmt::skip]
    assert_refused(&admin, "POST", "/v1/api-keys", &[
        (json!({}), &[("name", "missing"), ("permissions", "missing")]),
        (json!({"name": " ", "permissions": ["schedules:read"]}), &[("name", "out-of-range")]),
        (json!({"name": "n".repeat(65), "permissions": ["schedules:read"]}), &[("name", "out-of-range")]),
        (json!({"name": "n", "permissions": []}), &[("permissions", "not-a-choice")]),
        (json!({"name": "n", "permissions": "schedules:read"}), &[("permissions", "wrong-type")]),
        (json!({"name": "n", "permissions": ["schedules:read", "*"]}), &[("permissions", "not-a-choice")]),
        (json!({"name": "n", "permissions": ["users"]}), &[("permissions", "not-a-choice")]),
        (json!({"name": "n", "permissions": ["schedules:read"], "messages_per_day": 0}), &[("messages_per_day", "out-of-range")]),
        (json!({"name": "n", "permissions": ["schedules:read"], "expires_at": "2020-01-01T00:00:00Z"}), &[("expires_at", "in-the-past")]),
        (json!({"name": "n", "permissions": ["schedules:read"], "expires_at": "2030-01-01"}), &[("expires_at", "not-a-time")]),
        (json!({"name": "n", "permissions": ["schedules:read"], "key": "sms_mine"}), &[("key", "unknown-field")]),
    ]).await;
    assert_eq!(
        created_rows(&pool).await,
        before,
        "nothing was created and nothing was audited"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_taken_username_is_refused_and_unknown_users_and_keys_are_not_found(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let taken = admin
        .post_json("/v1/users", &json!({"username": "ROOT", "role": "viewer"}))
        .await;
    assert_eq!(
        (taken.status, taken.problem()),
        (StatusCode::CONFLICT, "username-taken")
    );
    for path in [
        "/v1/users/1",
        "/v1/users/018f0000-0000-7000-8000-000000000000",
        "/v1/api-keys/x",
    ] {
        assert_eq!(admin.get(path).await.problem(), "not-found", "{path}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_list_parameter_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    #[rustfmt::skip]
    let table: [(&str, &[(&str, &str)]); 7] = [
        ("/v1/audit?from=yesterday&to=2030-01-01", &[("from", "not-a-time"), ("to", "not-a-time")]),
        ("/v1/audit?limit=201&cursor=b1&who=root", &[("limit", "out-of-range"), ("cursor", "not-a-cursor"), ("who", "unknown-field")]),
        ("/v1/audit?action=l%C3%B6schen", &[("action", "not-a-word")]),
        ("/v1/audit?action=login&action=login.fail", &[("action", "given-twice")]),
        ("/v1/users?limit=0&cursor=1", &[("limit", "out-of-range"), ("cursor", "not-a-cursor")]),
        ("/v1/api-keys?limit=x&sort=name", &[("limit", "out-of-range"), ("sort", "unknown-field")]),
        ("/v1/auth/me?verbose=1", &[("verbose", "unknown-field")]),
    ];
    for (path, expected) in table {
        let answer = admin.get(path).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{path}: {}",
            answer.body
        );
        assert_eq!(
            field_errors(&answer.body),
            expected,
            "{path}: {}",
            answer.body
        );
    }
}
