//! A person's own sessions: listed and ended one by one; and new passwords that are too easy to guess.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::common::{Answer, Api, users::PASSWORD};

async fn sessions(api: &Api) -> Vec<Value> {
    let listed = api.get("/v1/auth/sessions").await;
    assert_eq!(listed.status, StatusCode::OK, "{}", listed.body);
    listed.body["sessions"].as_array().unwrap().clone()
}

async fn revoke(api: &Api, id: &str) -> Answer {
    let request = Request::delete(format!("/v1/auth/sessions/{id}"));
    api.call(request.body(Body::empty()).unwrap()).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_person_sees_and_ends_the_own_sessions_only(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let ana = admin.user("ana", "operator").await;
    let again = api.log_in("ana", PASSWORD, None).await;
    let other = api.with(&again.text("access_token"));

    let listed = sessions(&ana).await;
    let current: Vec<_> = listed.iter().map(|session| &session["current"]).collect();
    assert_eq!(current, [false, true], "the newest first");
    assert_eq!(sessions(&other).await[0]["current"], true);
    let id = listed[0]["id"].as_str().unwrap();

    let strangers = revoke(&admin, id).await;
    assert_eq!(strangers.problem(), "not-found");
    assert_eq!(other.me().await.status, StatusCode::OK);

    assert_eq!(revoke(&ana, id).await.status, StatusCode::NO_CONTENT);
    assert_eq!(other.me().await.status, StatusCode::UNAUTHORIZED);
    let refreshed = api.refresh(&again.text("refresh_token")).await;
    assert_eq!(refreshed.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sessions(&ana).await.len(), 1);
    assert_eq!(revoke(&ana, id).await.status, StatusCode::NO_CONTENT);
    assert_eq!(revoke(&ana, "x").await.problem(), "not-found");
    let entries = admin.audit("&action=session.revoke").await;
    assert_eq!(entries.len(), 1, "a second call changes nothing");
    assert_eq!(entries[0]["after"], json!({"session": id}));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_has_no_sessions(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    assert_eq!(api.get("/v1/auth/sessions").await.problem(), "forbidden");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_guessable_new_password_is_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let new = json!({"username": "maria.example", "role": "viewer"});
    let made = admin.post_json("/v1/users", &new).await;
    let temporary = made.text("temporary_password");
    for guessable in ["password1234", "maria.example1"] {
        let refused = api
            .log_in("maria.example", &temporary, Some(guessable))
            .await;
        assert_eq!(
            (
                &refused.body["errors"][0]["field"],
                &refused.body["errors"][0]["code"]
            ),
            (&json!("new_password"), &json!("too-common")),
            "{}",
            refused.body
        );
    }
    let changed = json!({"current_password": PASSWORD, "new_password": "qwerty123456"});
    let refused = admin.post_json("/v1/auth/password", &changed).await;
    assert_eq!(refused.body["errors"][0]["code"], "too-common");
    let chosen = api
        .log_in("maria.example", &temporary, Some(PASSWORD))
        .await;
    assert_eq!(chosen.status, StatusCode::OK, "{}", chosen.body);
}
