//! The authorization matrix: every route of the API's own table with every credential, on the running stack. What is expected is computed
//! from the table; so a route that lets in who may not, or keeps out who may, is found without being named here.
#![allow(missing_docs, clippy::unwrap_used)]

use api::{auth::access::Access, routes::table};
use reqwest::Method;
use security::{
    PASSWORD, Target,
    forge::{self, SigningKey, seconds_from_now},
};
use serde_json::{Value, json};
use shared::access::{Permission, Role};

/// Who calls.
struct Credential {
    name: String,
    authorization: String,
    /// `None`: it opens nothing.
    permissions: Option<Vec<Permission>>,
    is_person: bool,
}

impl Credential {
    fn bad(name: &str, authorization: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            authorization: authorization.into(),
            permissions: None,
            is_person: false,
        }
    }

    /// 401, 403, or neither.
    fn expected(&self, access: Access) -> u16 {
        let allowed = match (access, &self.permissions) {
            (Access::Public, _) => true,
            // No login opens it: `receipts_are_taken_by_their_signature_alone`.
            (Access::Signed, _) | (_, None) => return 401,
            (Access::Authenticated, _) => true,
            (Access::Session, _) => self.is_person,
            (Access::Requires(permission), Some(held)) => held.contains(&permission),
        };
        if allowed { 200 } else { 403 }
    }
}

async fn credentials(target: &Target) -> Vec<Credential> {
    let mut all = vec![
        Credential::bad("none", ""),
        Credential::bad("no scheme", "abc"),
        Credential::bad("basic", "Basic eHg6eHg="),
        Credential::bad("empty bearer", "Bearer "),
        Credential::bad("two blanks", "Bearer  abc"),
        Credential::bad("three words", "Bearer a b"),
        Credential::bad("no token", "Bearer abc"),
        Credential::bad("three parts", "Bearer a.b.c"),
        Credential::bad(
            "alg none",
            "Bearer eyJhbGciOiJub25lIiwia2lkIjoibG9jYWwifQ.eyJpc3MiOiJzbXMiLCJhdWQiOiJzbXMifQ.",
        ),
        Credential::bad("very long", format!("Bearer {}", "a".repeat(7_000))),
        Credential::bad(
            "unknown key",
            format!("Bearer sms_aaaaaaaa_{}", "a".repeat(52)),
        ),
        Credential::bad("another's key", "Bearer sk_live_123456"),
    ];
    all.extend(forged(target));
    let tampered: String = target
        .admin()
        .chars()
        .rev()
        .enumerate()
        .map(|(at, c)| {
            if at == 5 {
                if c == 'A' { 'B' } else { 'A' }
            } else {
                c
            }
        })
        .collect();
    all.push(Credential::bad(
        "tampered",
        format!("Bearer {}", tampered.chars().rev().collect::<String>()),
    ));
    for permission in Permission::GRANTABLE {
        let (_, key) = target.key(&[permission.as_str()]).await.unwrap();
        let permissions = Some(vec![permission]);
        let name = format!("key {}", permission.as_str());
        all.push(Credential {
            name,
            authorization: format!("Bearer {key}"),
            permissions,
            is_person: false,
        });
    }
    let (id, revoked) = target
        .key(&["schedules:read", "schedules:write"])
        .await
        .unwrap();
    let done = target
        .call(
            &format!("Bearer {}", target.admin()),
            Method::DELETE,
            &format!("/v1/api-keys/{id}"),
        )
        .await
        .unwrap();
    assert_eq!(done.status(), 200);
    all.push(Credential::bad("revoked key", format!("Bearer {revoked}")));
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(1)).to_rfc3339();
    let expiring = json!({"name": "expired", "permissions": ["schedules:read", "schedules:write"], "expires_at": soon});
    let expired = target
        .post(target.admin(), "/v1/api-keys", &expiring)
        .await
        .unwrap();
    all.push(Credential::bad(
        "expired key",
        format!("Bearer {}", expired["key"].as_str().unwrap()),
    ));
    let (id, disabled) = target.user("matrix-disabled-admin", "admin").await.unwrap();
    let patch = target
        .request(Method::PATCH, &format!("/v1/users/{id}"))
        .bearer_auth(target.admin());
    assert_eq!(
        patch
            .json(&json!({"disabled": true}))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    all.push(Credential::bad(
        "disabled user",
        format!("Bearer {disabled}"),
    ));
    // By now that key's time is over.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for role in Role::ALL {
        let (_, token) = target
            .user(&format!("matrix-{}", role.as_str()), role.as_str())
            .await
            .unwrap();
        let permissions = Some(role.permissions().to_vec());
        let name = role.as_str().to_owned();
        all.push(Credential {
            name,
            authorization: format!("Bearer {token}"),
            permissions,
            is_person: true,
        });
    }
    let (_, ended) = target.user("matrix-logged-out", "admin").await.unwrap();
    let ended = format!("Bearer {ended}");
    assert_eq!(
        target
            .call(&ended, Method::POST, "/v1/auth/logout")
            .await
            .unwrap()
            .status(),
        204
    );
    all.push(Credential::bad("logged out", ended));
    all
}

/// Tokens that say to be the admin's, each wrong in one way; the control, which is right, is let in.
fn forged(target: &Target) -> Vec<Credential> {
    let key = SigningKey::of_stack().unwrap();
    let (header, claims) = (key.header(), forge::claims(target.admin()).unwrap());
    let with = |base: &Value, member: &str, value: Value| {
        let mut changed = base.clone();
        changed[member] = value;
        changed
    };
    let without = |base: &Value, member: &str| {
        let mut changed = base.clone();
        changed.as_object_mut().unwrap().remove(member);
        changed
    };
    let signed = |header: &Value, claims: &Value| key.sign(header, claims);
    let claim = |member: &str, value: Value| signed(&header, &with(&claims, member, value));
    let head = |member: &str, value: Value| signed(&with(&header, member, value), &claims);
    let unsigned = |alg: &str| {
        format!(
            "{}.{}.",
            forge::encode(with(&header, "alg", json!(alg)).to_string()),
            forge::encode(claims.to_string())
        )
    };
    let table = [
        ("expired", claim("exp", json!(seconds_from_now(-60)))),
        ("not yet valid", claim("nbf", json!(seconds_from_now(60)))),
        ("exp as a text", claim("exp", json!("9999999999"))),
        ("nbf as a text", claim("nbf", json!("0"))),
        ("without exp", signed(&header, &without(&claims, "exp"))),
        (
            "another issuer",
            claim("iss", json!("https://issuer.example.com")),
        ),
        ("another audience", claim("aud", json!("another"))),
        (
            "another user's session",
            claim("sub", json!("018f0000-0000-7000-8000-000000000000")),
        ),
        (
            "no such session",
            claim("sid", json!("018f0000-0000-7000-8000-000000000000")),
        ),
        ("sid as SQL", claim("sid", json!("' OR 1=1 -- "))),
        ("unknown key id", head("kid", json!("another"))),
        ("key id as a path", head("kid", json!("../../dev/null"))),
        (
            "without a key id",
            signed(&without(&header, "kid"), &claims),
        ),
        ("HS256 that says RS256", head("alg", json!("RS256"))),
        ("HS256 that says HS512", head("alg", json!("HS512"))),
        ("alg none, signed", head("alg", json!("none"))),
        ("alg none, unsigned", unsigned("none")),
        ("alg nOnE, unsigned", unsigned("nOnE")),
        ("HS256, unsigned", unsigned("HS256")),
        ("signed with nothing", forge::sign(b"", &header, &claims)),
        (
            "signed with another key",
            forge::sign(b"another key of thirty-two characters", &header, &claims),
        ),
    ];
    table
        .into_iter()
        .map(|(name, token)| Credential::bad(name, format!("Bearer {token}")))
        .collect()
}

/// A path with an id that nobody has.
fn filled(path: &str) -> String {
    path.replace("{id}", "018f0000-0000-7000-8000-000000000000")
        .replace("{event_id}", "018f0000-0000-7000-8000-000000000000")
        .replace("{slug}", "not-found")
        .replace("{file}", "page.js")
        .replace("{phone}", "+12012000000")
        .replace("{no}", "1")
        .replace("{seq}", "1")
        .replace("{kind}", "paused")
        .replace("{carrier}", "sim")
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn every_route_lets_in_who_may_and_nobody_else() {
    let target = Target::enter().await.unwrap();
    let credentials = credentials(&target).await;
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for route in table().into_iter().map(|route| route.endpoint) {
        for credential in &credentials {
            let mut authorization = credential.authorization.clone();
            let expected = credential.expected(route.access);
            // The call that ends a session gets one of its own.
            if route.path == "/v1/auth/logout" && expected == 200 {
                authorization = format!(
                    "Bearer {}",
                    target
                        .log_in(&format!("matrix-{}", credential.name))
                        .await
                        .unwrap()
                );
            }
            let answer = target
                .call(&authorization, route.method.clone(), &filled(route.path))
                .await
                .unwrap();
            let status = answer.status().as_u16();
            let challenge = answer.headers().contains_key("www-authenticate");
            let refused = matches!(status, 401 | 403);
            checked += 1;
            let right = if expected == 200 {
                !refused && status < 500
            } else {
                status == expected && challenge
            };
            if !right {
                wrong.push(format!(
                    "{} {} with `{}`: {status}, expected {expected}",
                    route.method, route.path, credential.name
                ));
            }
        }
    }
    println!("{checked} pairs of a route and a credential");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 1_200, "{checked}");
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_forged_token_that_is_right_is_let_in() {
    let target = Target::enter().await.unwrap();
    let key = SigningKey::of_stack().unwrap();
    let token = key.sign(&key.header(), &forge::claims(target.admin()).unwrap());
    assert_eq!(
        target
            .call(&format!("Bearer {token}"), Method::GET, "/v1/users")
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_disabled_user_is_out_at_once() {
    let target = Target::enter().await.unwrap();
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

/// The same call, each time wrong in one way; and right, when nobody knows its message.
#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn receipts_are_taken_by_their_signature_alone() {
    let target = Target::enter().await.unwrap();
    let secret = forge::callback_secret().unwrap();
    let body =
        json!({"message_id": "matrix-1", "dnis": "60123456789", "status": "DELIVRD"}).to_string();
    let at = |seconds: i64| seconds_from_now(seconds).to_string();
    let signed = |time: &str, body: &str| forge::sign_callback(secret.as_bytes(), time, body);
    let (now, sim) = (at(0), "/v1/carrier/callbacks/sim");
    let table = [
        ("right", sim, now.clone(), signed(&now, &body), 200),
        ("unsigned", sim, now.clone(), String::new(), 401),
        (
            "without a time",
            sim,
            String::new(),
            signed(&now, &body),
            401,
        ),
        (
            "signed with nothing",
            sim,
            now.clone(),
            forge::sign_callback(b"", &now, &body),
            401,
        ),
        (
            "signed with another secret",
            sim,
            now.clone(),
            forge::sign_callback(&[7; 32], &now, &body),
            401,
        ),
        ("another body's", sim, now.clone(), signed(&now, "[]"), 401),
        (
            "another time's",
            sim,
            now.clone(),
            signed(&at(-9), &body),
            401,
        ),
        ("old", sim, at(-600), signed(&at(-600), &body), 401),
        ("of the future", sim, at(600), signed(&at(600), &body), 401),
        (
            "another carrier's",
            "/v1/carrier/callbacks/another",
            now.clone(),
            signed(&now, &body),
            404,
        ),
    ];
    for (what, path, time, signature, expected) in table {
        let mut call = target
            .request(Method::POST, path)
            .header("content-type", "application/json")
            .body(body.clone());
        for (name, value) in [
            ("x-callback-timestamp", time),
            ("x-callback-signature", signature),
        ] {
            if !value.is_empty() {
                call = call.header(name, value);
            }
        }
        assert_eq!(
            call.send().await.unwrap().status().as_u16(),
            expected,
            "{what}"
        );
    }
    // A login is no signature.
    let admin = format!("Bearer {}", target.admin());
    assert_eq!(
        target
            .call(&admin, Method::POST, sim)
            .await
            .unwrap()
            .status(),
        401
    );
}
