//! The authorization matrix: each route of the API's route table with each credential, on the
//! running stack. The expected status is computed from the table. Each route that admits an
//! unauthorized caller, or refuses an authorized one, is therefore found without being listed here.
#![allow(missing_docs, clippy::unwrap_used)]

mod credentials;
mod forged_tokens;

use api::{openapi::Endpoint, routes::table};
use reqwest::Method;
use security::{
    PASSWORD, Target,
    forge::{self, SigningKey},
};
use serde_json::json;

use credentials::{Credential, credentials};

/// Replaces the parameters of a path. The ids exist for no resource.
fn filled(path: &str) -> String {
    path.replace("{id}", "018f0000-0000-7000-8000-000000000000")
        .replace("{event_id}", "018f0000-0000-7000-8000-000000000000")
        .replace("{slug}", "not-found")
        .replace("{version}", "0")
        .replace("{file}", "page.js")
        .replace("{phone}", "+12012000000")
        .replace("{no}", "1")
        .replace("{recipient}", "1")
        .replace("{kind}", "paused")
        .replace("{carrier}", "sim")
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn each_route_admits_only_authorized_callers() {
    let target = Target::log_in_admin().await.unwrap();
    let credentials = credentials(&target).await;
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for route in table().into_iter().map(|route| route.endpoint) {
        for credential in &credentials {
            checked += 1;
            wrong.extend(check(&target, &route, credential).await);
        }
    }
    println!("{checked} pairs of a route and a credential");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 1_200, "{checked}");
}

/// Calls a route with a credential. Returns a description if the status is wrong.
async fn check(target: &Target, route: &Endpoint, credential: &Credential) -> Option<String> {
    let mut authorization = credential.authorization.clone();
    let expected = credential.expected(route.access);
    // The call that ends a session uses a new session.
    if route.path == "/v1/auth/logout" && expected == 200 {
        let username = format!("matrix-{}", credential.name);
        authorization = format!("Bearer {}", target.log_in(&username).await.unwrap());
    }
    let answer = target
        .call(&authorization, route.method.clone(), &filled(route.path))
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let challenge = answer.headers().contains_key("www-authenticate");
    let refused = matches!(status, 401 | 403);
    let right = if expected == 200 {
        !refused && status < 500
    } else {
        status == expected && challenge
    };
    (!right).then(|| {
        format!(
            "{} {} with `{}`: {status}, expected {expected}",
            route.method, route.path, credential.name
        )
    })
}

/// The control for the forged tokens: a token that is made the same way, but is valid.
#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_token_signed_with_the_stacks_key_is_accepted() {
    let target = Target::log_in_admin().await.unwrap();
    let key = SigningKey::of_stack().unwrap();
    let token = key.sign(&key.header(), &forge::claims(target.admin()).unwrap());
    let answer = target
        .call(&format!("Bearer {token}"), Method::GET, "/v1/users")
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_disabled_user_is_refused_immediately() {
    let target = Target::log_in_admin().await.unwrap();
    let (id, token) = target.user("matrix-disabled", "operator").await.unwrap();
    let token = format!("Bearer {token}");
    assert_eq!(
        target
            .call(&token, Method::GET, "/v1/auth/me")
            .await
            .unwrap()
            .status(),
        200
    );
    let patch = target.request(Method::PATCH, &format!("/v1/users/{id}"));
    let patch = patch
        .bearer_auth(target.admin())
        .json(&json!({"disabled": true}));
    assert_eq!(patch.send().await.unwrap().status(), 200);
    assert_eq!(
        target
            .call(&token, Method::GET, "/v1/auth/me")
            .await
            .unwrap()
            .status(),
        401
    );
    let login = target
        .post(
            "",
            "/v1/auth/login",
            &json!({"username": "matrix-disabled", "password": PASSWORD}),
        )
        .await;
    assert!(login.unwrap_err().to_string().contains("401"));
}
