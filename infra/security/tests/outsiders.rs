//! Tokens of the outside issuer that the stack is configured for, on the running stack: which let in, as whom, and which do not. Every
//! refusal that there is stands in `functions/api/tests/handlers/issuer.rs`; this is the whole way, from the template's parameters on.
#![allow(missing_docs, clippy::unwrap_used)]

use demo::stack::Stack;
use reqwest::Method;
use security::{
    Target,
    forge::{self, seconds_from_now},
};
use serde_json::{Value, json};
use testkit::issuer::{MockIssuer, Signer, base64url};

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn the_issuers_people_have_its_roles_here_and_nobody_else_has_any() {
    let target = Target::enter().await.unwrap();
    let stack = Stack::from_environment().unwrap();
    let (issuer, audience) = (
        stack.value("OIDC_ISSUER").unwrap(),
        stack.value("OIDC_AUDIENCE").unwrap(),
    );
    let address = issuer
        .strip_prefix("http://")
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let (rsa, ec, stranger) = (Signer::rsa(), Signer::ec(), Signer::ec());
    let mock = MockIssuer::start_at(address, &[rsa.jwk("r"), ec.jwk("e")]).await;
    assert_eq!(mock.url, issuer);

    let claims = |changes: Value| {
        let mut claims = json!({"iss": issuer, "aud": audience, "sub": "outsider-1", "preferred_username": "olga",
            "iat": seconds_from_now(-5), "exp": seconds_from_now(300), "roles": ["operator"]});
        claims
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        claims
    };
    let good = claims(json!({}));
    let public = base64url(modulus(&rsa.jwk("r")));
    let confused = |secret: &[u8]| forge::sign(secret, &json!({"alg": "HS256", "kid": "r"}), &good);
    // Token; the status of GET /v1/auth/me, /v1/schedules, /v1/users; POST of a schedule without fields; POST of a logout.
    let table = [
        ("RS256", rsa.token("r", &good), [200, 200, 403, 422, 403]),
        ("ES256", ec.token("e", &good), [200, 200, 403, 422, 403]),
        (
            "viewer",
            ec.token("e", &claims(json!({"roles": ["viewer"]}))),
            [200, 200, 403, 403, 403],
        ),
        (
            "admin among others",
            ec.token("e", &claims(json!({"roles": ["x", "admin"]}))),
            [200, 200, 200, 422, 403],
        ),
        (
            "no role",
            ec.token("e", &claims(json!({"roles": []}))),
            [200, 403, 403, 403, 403],
        ),
        (
            "another's role",
            ec.token("e", &claims(json!({"roles": ["root"]}))),
            [200, 403, 403, 403, 403],
        ),
        (
            "several audiences",
            rsa.token("r", &claims(json!({"aud": ["x", audience]}))),
            [200, 200, 403, 422, 403],
        ),
        (
            "expired",
            rsa.token("r", &claims(json!({"exp": seconds_from_now(-120)}))),
            [401; 5],
        ),
        (
            "not yet valid",
            rsa.token("r", &claims(json!({"nbf": seconds_from_now(120)}))),
            [401; 5],
        ),
        (
            "another audience",
            rsa.token("r", &claims(json!({"aud": "x"}))),
            [401; 5],
        ),
        (
            "another issuer",
            rsa.token("r", &claims(json!({"iss": "https://example.com"}))),
            [401; 5],
        ),
        (
            "our own issuer",
            rsa.token("r", &claims(json!({"iss": "sms", "aud": "sms"}))),
            [401; 5],
        ),
        ("unknown key id", rsa.token("x", &good), [401; 5]),
        ("another key's id", ec.token("r", &good), [401; 5]),
        ("a stranger's key", stranger.token("e", &good), [401; 5]),
        (
            "alg none",
            format!(
                "{}.{}.",
                base64url(r#"{"alg":"none","kid":"r"}"#),
                base64url(good.to_string())
            ),
            [401; 5],
        ),
        (
            "HS256 with the public key",
            confused(&modulus(&rsa.jwk("r"))),
            [401; 5],
        ),
        (
            "HS256 with the public key's text",
            confused(public.as_bytes()),
            [401; 5],
        ),
    ];
    for (name, token, expected) in table {
        let calls = [
            (Method::GET, "/v1/auth/me"),
            (Method::GET, "/v1/schedules"),
            (Method::GET, "/v1/users"),
            (Method::POST, "/v1/schedules"),
            (Method::POST, "/v1/auth/logout"),
        ];
        for ((method, path), status) in calls.into_iter().zip(expected) {
            let answer = target
                .call(&format!("Bearer {token}"), method.clone(), path)
                .await
                .unwrap();
            assert_eq!(
                answer.status().as_u16(),
                status,
                "{name}: {method} {path}: {}",
                answer.text().await.unwrap()
            );
        }
    }
    let me = target
        .call(
            &format!("Bearer {}", ec.token("e", &good)),
            Method::GET,
            "/v1/auth/me",
        )
        .await
        .unwrap();
    let me: Value = me.json().await.unwrap();
    assert_eq!(
        (&me["kind"], &me["name"], &me["role"]),
        (&json!("issuer"), &json!("olga"), &json!("operator"))
    );
}

/// The modulus, as anybody can read it at the issuer.
fn modulus(jwk: &Value) -> Vec<u8> {
    forge::decode(jwk["n"].as_str().unwrap()).unwrap()
}
