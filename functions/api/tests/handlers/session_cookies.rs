//! Sessions whose refresh token is in a cookie.

use crate::common::{Answer, Api, count, users::PASSWORD};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// A call as the page of an origin makes it. `cookies` are those that the browser has.
struct Page<'a> {
    api: &'a Api,
    site: &'static str,
    cookies: String,
}

impl Page<'_> {
    async fn call(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("host", "api.example.com")
            .header("sec-fetch-site", self.site)
            .header("cookie", format!("other=1; {}", self.cookies));
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.api.with("").call(request).await
    }

    async fn log_in(&self) -> Answer {
        let body = json!({"username": "root", "password": PASSWORD, "cookie": true});
        self.call("/v1/auth/login", &body).await
    }

    async fn refresh(&self) -> Answer {
        self.call("/v1/auth/refresh", &json!({"cookie": true}))
            .await
    }
}

fn page(api: &Api, cookies: String) -> Page<'_> {
    Page {
        api,
        site: "same-origin",
        cookies,
    }
}

/// Returns the cookies of an answer as `Set-Cookie` has them.
fn set_cookies(answer: &Answer) -> Vec<String> {
    let given = answer.headers.get_all(header::SET_COOKIE).iter();
    given
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect()
}

/// Returns what a browser sends after an answer.
fn kept(answer: &Answer) -> String {
    let pairs: Vec<_> = set_cookies(answer)
        .iter()
        .map(|cookie| cookie.split(';').next().unwrap().to_owned())
        .collect();
    pairs.join("; ")
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn scripts_cannot_read_the_cookies_of_a_session(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let login = page(&api, String::new()).log_in().await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.body);
    assert!(login.body.get("refresh_token").is_none(), "{}", login.body);
    assert!(login.body.get("device_token").is_none(), "{}", login.body);
    let cookies = set_cookies(&login);
    for (cookie, name, age_s) in [
        (&cookies[0], "sms_refresh=", 604_800),
        (&cookies[1], "sms_device=", 15_552_000),
    ] {
        let rest = format!("; Path=/v1/auth; Max-Age={age_s}; HttpOnly; SameSite=Strict; Secure");
        assert!(
            cookie.starts_with(name) && cookie.ends_with(&rest),
            "{cookie}"
        );
        assert_eq!(cookie.len(), name.len() + 52 + rest.len(), "{cookie}");
    }
    let access = api.with(&login.text("access_token"));
    assert_eq!(access.me().await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_cookie_is_exchanged_once_and_a_later_second_use_ends_the_session(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let login = page(&api, String::new()).log_in().await;
    let next = page(&api, kept(&login)).refresh().await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.body);
    assert!(next.body.get("refresh_token").is_none(), "{}", next.body);
    assert_eq!(set_cookies(&next).len(), 1);
    let last = page(&api, kept(&next)).refresh().await;
    assert_eq!(last.status, StatusCode::OK, "{}", last.body);
    let stolen = page(&api, kept(&login)).refresh().await;
    assert_eq!(stolen.problem(), "wrong-credentials");
    let ended = page(&api, kept(&last)).refresh().await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_device_stays_known_by_its_cookie(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let devices = || count(&pool, "SELECT COUNT(*) FROM known_devices");
    let before = devices().await;
    let login = page(&api, String::new()).log_in().await;
    let again = page(&api, kept(&login)).log_in().await;
    assert_eq!(devices().await, before + 1);
    assert_eq!(set_cookies(&again)[1], set_cookies(&login)[1]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn pages_of_other_origins_cannot_use_the_cookies(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let login = page(&api, String::new()).log_in().await;
    for site in ["cross-site", "same-site", "none"] {
        let other = Page {
            api: &api,
            site,
            cookies: kept(&login),
        };
        for answer in [other.log_in().await, other.refresh().await] {
            assert_eq!(
                (answer.status, answer.problem()),
                (StatusCode::FORBIDDEN, "forbidden")
            );
            assert_eq!(set_cookies(&answer).len(), 0, "{site}");
        }
    }
    // The content type of a form, which needs no permission across origins, is refused.
    let form = Request::post("/v1/auth/refresh")
        .header("content-type", "text/plain")
        .header("cookie", kept(&login));
    let form = form.body(Body::from(r#"{"cookie": true}"#)).unwrap();
    let answer = api.with("").call(form).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // The token was not used up by them.
    let next = page(&api, kept(&login)).refresh().await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.body);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_cookie_is_used_only_if_the_body_says_so(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let login = page(&api, String::new()).log_in().await;
    let here = page(&api, kept(&login));
    let both = json!({"cookie": true, "refresh_token": "x"});
    for (body, code) in [
        (json!({}), "missing"),
        (json!({"cookie": false}), "missing"),
        (json!({"cookie": "yes"}), "wrong-type"),
        (both, "not-both"),
    ] {
        let answer = here.call("/v1/auth/refresh", &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(answer.body["errors"][0]["code"], code, "{body}");
    }
    let none = page(&api, String::new()).refresh().await;
    assert_eq!(none.problem(), "wrong-credentials");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_logout_removes_the_cookie(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.admin().await;
    let login = page(&api, String::new()).log_in().await;
    let session = api.with(&login.text("access_token"));
    let logout = Request::post("/v1/auth/logout").header("cookie", kept(&login));
    let answer = session.call(logout.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let expired = "sms_refresh=; Path=/v1/auth; Max-Age=0; HttpOnly; SameSite=Strict; Secure";
    assert_eq!(set_cookies(&answer), [expired]);
    let refused = page(&api, kept(&login)).refresh().await;
    assert_eq!(refused.problem(), "wrong-credentials");
}
