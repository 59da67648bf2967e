//! The second factor: set up, asked for at each login, accepted once, recovered, removed, and required.
#![allow(clippy::format_collect, reason = "small texts of tests")]

use std::time::Duration;

use api::auth::second_factor::{RequiredOf, Secret};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::TimeDelta;
use migrate::bootstrap::{TemporaryPassword, make_admin};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::common::{Answer, Api, count, users::PASSWORD};

const PATH: &str = "/v1/auth/second-factor";

/// A person with a second factor.
struct Person {
    api: Api,
    secret: Secret,
    recovery: Vec<String>,
}

fn decoded(base32: &str) -> Secret {
    let bits: String = base32
        .chars()
        .map(|letter| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap())
        .map(|value| format!("{value:05b}"))
        .collect();
    let bytes = bits.as_bytes().chunks_exact(8);
    let byte = |bits: &[u8]| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap();
    Secret::from_bytes(bytes.map(byte).collect()).unwrap()
}

async fn begin(api: &Api) -> Secret {
    let begun = api
        .post_json(PATH, &json!({"current_password": PASSWORD}))
        .await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
    assert!(begun.text("uri").contains(&begun.text("secret")));
    assert!(begun.body["qr"]["path"].as_str().unwrap().starts_with('M'));
    decoded(&begun.text("secret"))
}

impl Person {
    /// Creates a person with this role, who sets up a second factor.
    async fn new(admin: &Api, role: &str) -> Self {
        let api = admin.user("ana", role).await;
        let secret = begin(&api).await;
        let code = secret.code_at(api.db.now());
        let confirmed = api
            .post_json(&format!("{PATH}/confirm"), &json!({"code": code}))
            .await;
        assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.body);
        let codes = confirmed.body["recovery_codes"].as_array().unwrap();
        let recovery = codes.iter().map(|code| code.as_str().unwrap().to_owned());
        let recovery = recovery.collect();
        // The code of the next step.
        api.db.clock.advance(Duration::from_secs(30));
        Self {
            api,
            secret,
            recovery,
        }
    }

    fn code(&self) -> String {
        self.secret.code_at(self.api.db.now())
    }

    async fn log_in(&self, code: Option<&str>) -> Answer {
        let body = json!({"username": "ana", "password": PASSWORD, "code": code});
        self.api.with("").post_json("/v1/auth/login", &body).await
    }
}

async fn patch_user(admin: &Api, id: &str, body: &Value) -> Answer {
    let request = Request::patch(format!("/v1/users/{id}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()));
    admin.call(request.unwrap()).await
}

async fn id_of(api: &Api) -> String {
    api.me().await.text("id")
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_login_needs_a_code_and_each_is_accepted_once(pool: MySqlPool) {
    let ana = Person::new(&Api::new(&pool).await.admin().await, "operator").await;
    assert_eq!(ana.log_in(None).await.problem(), "second-factor-required");
    let code = ana.code();
    let login = ana.log_in(Some(&code)).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.body);
    let again = ana.log_in(Some(&code)).await;
    assert_eq!(again.problem(), "wrong-credentials", "{}", again.body);
    // With spaces, as some apps show it.
    ana.api.db.clock.advance(Duration::from_secs(60));
    let code = ana.code();
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    assert_eq!(ana.log_in(Some(&spaced)).await.status, StatusCode::OK);
    let shown = ana.api.get(PATH).await.body;
    assert_eq!(
        (&shown["enabled"], &shown["recovery_codes_left"]),
        (&json!(true), &json!(10))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_recovery_code_replaces_the_app_once(pool: MySqlPool) {
    let ana = Person::new(&Api::new(&pool).await.admin().await, "operator").await;
    let code = ana.recovery[3].to_uppercase();
    assert_eq!(ana.log_in(Some(&code)).await.status, StatusCode::OK);
    assert_eq!(ana.log_in(Some(&code)).await.problem(), "wrong-credentials");
    assert_eq!(ana.api.get(PATH).await.body["recovery_codes_left"], 9);
    let stored = count(
        &pool,
        "SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL",
    )
    .await;
    assert_eq!(stored, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn wrong_codes_lock_like_wrong_passwords(pool: MySqlPool) {
    let ana = Person::new(&Api::new(&pool).await.admin().await, "operator").await;
    let mut locked = false;
    for _ in 0..12 {
        // The right password between wrong codes takes nothing back.
        let first = ana.log_in(None).await;
        let wrong = ana.log_in(Some("000000")).await;
        locked |= first.problem() == "login-locked" || wrong.problem() == "login-locked";
    }
    assert!(locked);
    let code = ana.code();
    assert_eq!(ana.log_in(Some(&code)).await.problem(), "login-locked");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn nothing_is_asked_for_before_a_right_code_has_confirmed_it(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let ana = admin.user("ana", "operator").await;
    let confirm = format!("{PATH}/confirm");
    let early = ana.post_json(&confirm, &json!({"code": "123456"})).await;
    assert_eq!(early.problem(), "second-factor-not-begun");
    let wrong = ana
        .post_json(PATH, &json!({"current_password": "not the password"}))
        .await;
    assert_eq!(wrong.body["errors"][0]["code"], "wrong", "{}", wrong.body);
    let first = begin(&ana).await;
    let second = begin(&ana).await;
    let old = first.code_at(ana.db.now());
    let refused = ana.post_json(&confirm, &json!({"code": old})).await;
    assert_eq!(
        refused.body["errors"][0]["code"], "wrong",
        "{}",
        refused.body
    );
    assert_eq!(
        api_login(&ana).await.status,
        StatusCode::OK,
        "not enabled yet"
    );
    let code = second.code_at(ana.db.now());
    let confirmed = ana.post_json(&confirm, &json!({"code": code})).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.body);
    let again = ana
        .post_json(PATH, &json!({"current_password": PASSWORD}))
        .await;
    assert_eq!(again.problem(), "second-factor-set");
    assert_eq!(api_login(&ana).await.problem(), "second-factor-required");
    let rows = "SELECT COUNT(*) FROM audit_log WHERE action LIKE 'second-factor.%'";
    assert_eq!(count(&pool, rows).await, 3);
}

async fn api_login(api: &Api) -> Answer {
    api.log_in("ana", PASSWORD, None).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn it_is_removed_with_a_code_or_by_an_administrator(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let ana = Person::new(&admin, "operator").await;
    let path = format!("{PATH}/remove");
    let remove = |code: &str| json!({"current_password": PASSWORD, "code": code});
    let wrong = ana.api.post_json(&path, &remove("000000")).await;
    assert_eq!(wrong.body["errors"][0]["field"], "code", "{}", wrong.body);
    let removed = ana.api.post_json(&path, &remove(&ana.code())).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.body);
    assert_eq!(ana.log_in(None).await.status, StatusCode::OK);

    let secret = begin(&ana.api).await;
    let code = secret.code_at(ana.api.db.now());
    let confirm = format!("{PATH}/confirm");
    ana.api.post_json(&confirm, &json!({"code": code})).await;
    let id = id_of(&ana.api).await;
    let shown = admin.get(&format!("/v1/users/{id}")).await.body;
    assert_eq!(shown["second_factor"], true, "{shown}");
    let reset = patch_user(&admin, &id, &json!({"reset_second_factor": true})).await;
    assert_eq!(reset.body["second_factor"], false, "{}", reset.body);
    assert_eq!(ana.api.me().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ana.log_in(None).await.status, StatusCode::OK);
    let entries = admin.audit("&action=user.change").await;
    assert_eq!(entries[0]["after"]["second_factor_reset"], true);
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM recovery_codes").await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_operator_with_access_to_aws_can_always_log_in_again(pool: MySqlPool) {
    let ana = Person::new(&Api::new(&pool).await.admin().await, "admin").await;
    let now = ana.api.db.now();
    let temporary = TemporaryPassword {
        password: "temporary".to_owned().into(),
        expires_at: now + TimeDelta::days(1),
    };
    let mut connection = ana.api.db.acquire().await.unwrap();
    make_admin(&mut connection, "ana", temporary, now)
        .await
        .unwrap();
    drop(connection);
    let login = ana.api.log_in("ana", "temporary", Some(PASSWORD)).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.body);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn where_it_is_required_nothing_else_is_open_without_it(pool: MySqlPool) {
    let plain = Api::new(&pool).await;
    let admin = plain.admin().await;
    let ana = admin.user("ana", "operator").await;
    let mut app = plain.app.clone();
    app.gate.second_factor = RequiredOf::Admins;
    let strict = |api: &Api| Api {
        router: api::routes::router(app.clone()),
        app: app.clone(),
        ..api.clone()
    };
    let (admin, ana) = (strict(&admin), strict(&ana));
    assert_eq!(ana.get("/v1/schedules").await.status, StatusCode::OK);
    assert_eq!(
        admin.get("/v1/schedules").await.problem(),
        "second-factor-missing"
    );
    assert_eq!(
        admin.get("/v1/users").await.problem(),
        "second-factor-missing"
    );
    let shown = admin.get(PATH).await.body;
    assert_eq!(
        (&shown["enabled"], &shown["required"]),
        (&json!(false), &json!(true))
    );
    let secret = begin(&admin).await;
    let code = secret.code_at(admin.db.now());
    let confirm = format!("{PATH}/confirm");
    let confirmed = admin.post_json(&confirm, &json!({"code": code})).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.body);
    assert_eq!(admin.get("/v1/users").await.status, StatusCode::OK);
}

/// Returns the caller for an example of an operation on second factors, and sets the fields of the
/// example whose values are known only at run time. The person has the operation's name.
pub async fn example_caller(admin: &Api, id: &str, example: &mut Value) -> Api {
    let person = admin.user(&id.to_lowercase(), "operator").await;
    if example.get("current_password").is_some() {
        example["current_password"] = json!(PASSWORD);
    }
    if id == "beginSecondFactor" {
        return person;
    }
    let secret = begin(&person).await;
    let code = secret.code_at(person.db.now());
    if id == "confirmSecondFactor" {
        example["code"] = json!(code);
        return person;
    }
    let confirm = format!("{PATH}/confirm");
    person.post_json(&confirm, &json!({"code": code})).await;
    let next = person.db.now() + TimeDelta::seconds(30);
    example["code"] = json!(secret.code_at(next));
    person
}
