//! Sessions of users: login, refresh, logout, passwords, locks.

use std::time::Duration;

use crate::common::{Api, count, users::PASSWORD};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_temporary_password_only_allows_choosing_a_new_one(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let me = admin.me().await.body;
    assert_eq!(
        (&me["kind"], &me["name"], &me["role"]),
        (&json!("user"), &json!("root"), &json!("admin"))
    );
    let made = admin
        .post_json(
            "/v1/users",
            &json!({"username": "Ana@example.com", "role": "viewer"}),
        )
        .await;
    let temporary = made.text("temporary_password");
    let refused = api.log_in("ana@example.com", &temporary, None).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::FORBIDDEN, "password-change-required")
    );
    let same = api
        .log_in("ana@example.com", &temporary, Some(&temporary))
        .await;
    assert_eq!(same.body["errors"][0]["code"], "not-new");
    let login = api
        .log_in("ANA@example.com", &temporary, Some(PASSWORD))
        .await;
    assert_eq!(
        (login.status, &login.body["expires_in"]),
        (StatusCode::OK, &json!(900))
    );
    assert_eq!(
        api.log_in("ana@example.com", &temporary, None).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        api.log_in("ana@example.com", PASSWORD, None).await.status,
        StatusCode::OK
    );
    // Only hashes are stored.
    assert_eq!(
        count(
            &pool,
            "SELECT COUNT(*) FROM users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'"
        )
        .await,
        2
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_reused_refresh_token_ends_its_session(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let first = api.log_in("root", PASSWORD, None).await;
    let second = api.refresh(&first.text("refresh_token")).await;
    assert_eq!(second.status, StatusCode::OK, "{}", second.body);
    let session = api.with(&second.text("access_token"));
    assert_eq!(session.me().await.status, StatusCode::OK);
    let third = api.refresh(&second.text("refresh_token")).await;
    assert_eq!(third.status, StatusCode::OK);
    assert_eq!(
        api.refresh(&first.text("refresh_token")).await.problem(),
        "wrong-credentials"
    );
    assert_eq!(session.me().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        api.refresh(&third.text("refresh_token")).await.status,
        StatusCode::UNAUTHORIZED
    );
    // The other session of the same user remains valid, and can read the audit log.
    let actions: Vec<_> = admin.audit("&action=session.revoke").await;
    assert_eq!(
        (actions.len(), &actions[0]["actor_name"]),
        (1, &json!("root"))
    );
    assert_eq!(api.refresh("nonsense").await.problem(), "wrong-credentials");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_tabs_refresh_at_the_same_time_and_one_token_goes_on(pool: MySqlPool) {
    let (api, other) = (Api::new(&pool).await, Api::new(&pool).await);
    api.admin().await;
    let token = api
        .log_in("root", PASSWORD, None)
        .await
        .text("refresh_token");
    let (one, two) = tokio::join!(api.refresh(&token), other.refresh(&token));
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    let next = api.refresh(&one.text("refresh_token")).await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.body);
    // The other one is used long after it: somebody else has it.
    api.db.clock.advance(Duration::from_secs(11));
    let stolen = api.refresh(&two.text("refresh_token")).await;
    assert_eq!(stolen.status, StatusCode::UNAUTHORIZED);
    let ended = api.refresh(&next.text("refresh_token")).await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refresh_is_repeated_for_ten_seconds_if_its_answer_was_lost(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let tokens = api.log_in("root", PASSWORD, None).await;
    let token = tokens.text("refresh_token");
    assert_eq!(api.refresh(&token).await.status, StatusCode::OK);
    api.db.clock.advance(Duration::from_secs(9));
    let repeated = api.refresh(&token).await;
    assert_eq!(repeated.status, StatusCode::OK, "{}", repeated.body);
    let session = api.with(&repeated.text("access_token"));
    assert_eq!(session.me().await.status, StatusCode::OK);
    api.db.clock.advance(Duration::from_secs(2));
    let late = api.refresh(&token).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    assert_eq!(session.me().await.status, StatusCode::UNAUTHORIZED);
}

/// Logs the user `ana` in.
async fn login(api: &Api, password: &str) -> Api {
    let tokens = api.log_in("ana", password, None).await;
    api.with(&tokens.text("access_token"))
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_logout_ends_one_session_or_all(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let ana = api.admin().await.user("ana", "operator").await;
    let post = |path| Request::post(path).body(Body::empty()).unwrap();
    let other = login(&api, PASSWORD).await;
    assert_eq!(
        ana.call(post("/v1/auth/logout")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        (ana.me().await.status, other.me().await.status),
        (StatusCode::UNAUTHORIZED, StatusCode::OK)
    );
    let third = login(&api, PASSWORD).await;
    assert_eq!(
        other
            .call(post("/v1/auth/logout?everywhere=true"))
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        (other.me().await.status, third.me().await.status),
        (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_password_change_ends_all_sessions(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let ana = api.admin().await.user("ana", "operator").await;
    let change =
        |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    let wrong = ana
        .post_json(
            "/v1/auth/password",
            &change("wrong wrong wrong", "another staple of some length"),
        )
        .await;
    assert_eq!(
        wrong.body["errors"][0]["field"], "current_password",
        "{}",
        wrong.body
    );
    assert_eq!(
        ana.post_json(
            "/v1/auth/password",
            &change(PASSWORD, "another staple of some length")
        )
        .await
        .status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(ana.me().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        api.log_in("ana", PASSWORD, None).await.status,
        StatusCode::UNAUTHORIZED
    );
    let ana = login(&api, "another staple of some length").await;
    assert_eq!(ana.me().await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_disabled_user_loses_all_sessions_and_the_last_admin_cannot_be_disabled(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let ana = admin.user("ana", "operator").await;
    let id = ana.me().await.text("id");
    let patch = |id: &str, body: Value| {
        let request =
            Request::patch(format!("/v1/users/{id}")).header("content-type", "application/json");
        admin.call(request.body(Body::from(body.to_string())).unwrap())
    };
    assert_eq!(
        patch(&id, json!({"role": "viewer"})).await.body["role"],
        "viewer"
    );
    assert_eq!(
        ana.me().await.body["role"],
        "viewer",
        "a new role takes effect at once"
    );
    assert!(patch(&id, json!({"disabled": true})).await.body["disabled_at"].is_string());
    assert_eq!(ana.me().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        api.log_in("ana", PASSWORD, None).await.problem(),
        "wrong-credentials"
    );
    let root = admin.me().await.text("id");
    assert_eq!(
        patch(&root, json!({"disabled": true})).await.problem(),
        "last-admin"
    );
    assert_eq!(
        patch(&root, json!({"role": "operator"})).await.problem(),
        "last-admin"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unknown_username_and_a_wrong_password_get_the_same_answer_and_lock(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    // All within one second: the lock after the fifth failure lasts one second.
    for (username, answers) in [("root", &mut known), ("unknown", &mut unknown)] {
        for _ in 0..6 {
            answers.push(api.log_in(username, "not the password", None).await);
        }
    }
    for (one, other) in known.iter().zip(&unknown) {
        assert_eq!((one.status, one.problem()), (other.status, other.problem()));
    }
    assert_eq!(known[0].body, unknown[0].body);
    let statuses: Vec<_> = known.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    assert_eq!(
        (known[5].problem(), known[5].header("retry-after")),
        ("login-locked", "1")
    );
    // The correct password is accepted after the lock, and resets the count.
    api.db.clock.advance(Duration::from_secs(2));
    assert_eq!(
        api.log_in("root", PASSWORD, None).await.status,
        StatusCode::OK
    );
    assert_eq!(
        api.log_in("root", "not the password", None).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        api.log_in("root", PASSWORD, None).await.status,
        StatusCode::OK
    );
}

/// Returns the CPU time of all threads of this process, which the load of other programs does not
/// change.
#[cfg(target_os = "linux")]
fn cpu_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let of_thread = |thread: std::fs::DirEntry| {
        let line = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        line.split(' ')
            .next()
            .and_then(|nanos| nanos.parse().ok())
            .unwrap_or(0)
    };
    Duration::from_nanos(threads.map(of_thread).sum())
}

/// Compares the minimum of 20 rounds. Without a hash for the unknown name, the ratio would be a
/// tenth.
#[cfg(target_os = "linux")]
#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unknown_username_takes_as_long_as_a_wrong_password(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for _ in 0..20 {
        for (username, least) in [("root", &mut known), ("unknown", &mut unknown)] {
            let begun = cpu_time();
            assert_eq!(
                api.log_in(username, "not the password", None).await.status,
                StatusCode::UNAUTHORIZED
            );
            *least = cpu_time().saturating_sub(begun).min(*least);
        }
        // Ends all locks.
        api.db.clock.advance(Duration::from_secs(3600));
    }
    let ratio = unknown.as_secs_f64() / known.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "{unknown:?} and {known:?}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn concurrent_guesses_do_not_bypass_the_lock(pool: MySqlPool) {
    let (api, other) = (Api::new(&pool).await, Api::new(&pool).await);
    api.admin().await;
    let guesses = (0..24)
        .map(|n| if n % 2 == 0 { &api } else { &other }.log_in("root", "not the password", None));
    let answers = futures_util::future::join_all(guesses).await;
    let checked = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::UNAUTHORIZED)
        .count();
    // Four guesses are free and the fifth locks for one second. In a debug build the hashes take
    // longer than that, so some more guesses follow.
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert!((5..=8).contains(&checked), "{statuses:?}");
}
