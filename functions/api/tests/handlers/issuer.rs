//! Tokens of an external issuer, which is simulated here: accepted and refused tokens, and how
//! often the keys of the issuer are fetched.

use api::auth::{
    issuer::{Issuer, IssuerConfig},
    tokens::{Refused, unverified_issuer},
};
use chrono::{DateTime, TimeDelta, Utc};
use ring::{hmac, signature::RsaPublicKeyComponents};
use serde_json::{Value, json};
use testkit::issuer::{MockIssuer, Signer, base64url};

/// A fixed time plus this many seconds.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn config(issuer: &str, roles_claim: &str) -> IssuerConfig {
    let roles = vec![
        ("boss".to_owned(), "admin"),
        ("staff".to_owned(), "operator"),
    ];
    IssuerConfig {
        issuer: issuer.to_owned(),
        audience: "sms".to_owned(),
        roles_claim: roles_claim.to_owned(),
        roles,
    }
}

fn verifier(mock: &MockIssuer) -> Issuer {
    Issuer::new(config(&mock.url, "roles")).unwrap()
}

/// Claims that are valid for one day.
fn claims(mock: &MockIssuer) -> Value {
    let now = at(0).timestamp();
    json!({"iss": mock.url, "aud": "sms", "sub": "u1", "iat": now, "nbf": now, "exp": now + 86_400, "scope": "sms", "roles": ["staff", "boss"]})
}

/// Replaces one claim.
fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_of_both_algorithms_are_accepted() {
    let (rsa, ec) = (Signer::rsa(), Signer::ec());
    let other = json!({"kty": "RSA", "kid": "e", "use": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"});
    let mock = MockIssuer::start(&[other, rsa.jwk("r"), ec.jwk("e")]).await;
    let issuer = verifier(&mock);
    for token in [
        rsa.token("r", &claims(&mock)),
        ec.token("e", &claims(&mock)),
    ] {
        assert!(issuer.owns(&token));
        assert_eq!(unverified_issuer(&token).as_ref(), Some(&mock.url));
        let outsider = issuer.verify(&token, at(0)).await.unwrap();
        assert_eq!(
            (outsider.issuer, outsider.subject, outsider.name),
            (mock.url.clone(), "u1".to_owned(), "u1".to_owned())
        );
        assert_eq!(outsider.role, Some("admin"));
    }
    assert_eq!(mock.asked(), (1, 1));
    assert!(
        !issuer.owns("sms_abcdefgh_secret")
            && !issuer.owns(&rsa.token("r", &json!({"iss": "sms"})))
    );
}

/// Returns invalid tokens of the issuer, which publishes the keys `r` and `e`.
#[rustfmt::skip]
fn invalid_tokens(rsa: &Signer, ec: &Signer, good: &Value) -> Vec<(&'static str, String, Refused)> {
    let token = ec.token("e", good);
    let parts: Vec<&str> = token.split('.').collect();
    let changed = |name: &str, value: Value| ec.token("e", &with(good.clone(), name, value));
    let tampered = base64url(with(good.clone(), "roles", json!(["boss"])).to_string());
    let none = base64url(json!({"alg": "none", "kid": "r"}).to_string());
    let crit = json!({"alg": "ES256", "kid": "e", "crit": ["x"], "x": 1});
    vec![
        ("expired", changed("exp", json!(at(-30).timestamp())), Refused::Expired),
        ("nbf in the future", changed("nbf", json!(at(31).timestamp())), Refused::NotYetValid),
        ("iat in the future", changed("iat", json!(at(31).timestamp())), Refused::NotYetValid),
        ("no exp", changed("exp", Value::Null), Refused::Malformed),
        ("other iss", changed("iss", json!("https://other.example")), Refused::WrongIssuer),
        ("other aud", changed("aud", json!("other")), Refused::WrongAudience),
        ("an ID token", changed("nonce", json!("n")), Refused::NotAccess),
        ("alg none", format!("{none}.{}.", parts[1]), Refused::Malformed),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), Refused::Signature),
        ("tampered", format!("{}.{tampered}.{}", parts[0], parts[2]), Refused::Signature),
        ("signed with an unknown key", Signer::ec().token("e", good), Refused::Signature),
        ("signed by the issuer's other key", ec.token("r", good), Refused::Signature),
        ("another algorithm than the key's", ec.token_with(&json!({"alg": "RS256", "kid": "e"}), good), Refused::Signature),
        ("an unsupported algorithm", rsa.token_with(&json!({"alg": "RS512", "kid": "r"}), good), Refused::Signature),
        ("no kid", ec.token_with(&json!({"alg": "ES256"}), good), Refused::Malformed),
        ("crit", ec.token_with(&crit, good), Refused::Malformed),
        ("not a token", "sms_abcdefgh_secret".to_owned(), Refused::Malformed),
    ]
}

#[tokio::test]
async fn each_invalid_token_is_refused_with_its_reason() {
    let (rsa, ec) = (Signer::rsa(), Signer::ec());
    let mock = MockIssuer::start(&[rsa.jwk("r"), ec.jwk("e")]).await;
    let issuer = verifier(&mock);
    let good = claims(&mock);
    issuer.verify(&ec.token("e", &good), at(0)).await.unwrap();
    for (what, token, expected) in invalid_tokens(&rsa, &ec, &good) {
        assert_eq!(issuer.verify(&token, at(0)).await, Err(expected), "{what}");
    }
    assert_eq!(mock.asked(), (1, 1));
}

#[tokio::test]
async fn a_public_key_is_not_accepted_as_an_hmac_secret() {
    let rsa = Signer::rsa();
    let mock = MockIssuer::start(&[rsa.jwk("r")]).await;
    let issuer = verifier(&mock);
    let Signer::Rsa(pair) = &rsa else {
        unreachable!()
    };
    let modulus = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public()).n;
    let message = format!(
        "{}.{}",
        base64url(json!({"alg": "HS256", "kid": "r"}).to_string()),
        base64url(claims(&mock).to_string())
    );
    let text = base64url(&modulus).into_bytes();
    for secret in [pair.public().as_ref().to_vec(), modulus, text, Vec::new()] {
        let signature = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &secret),
            message.as_bytes(),
        );
        let token = format!("{message}.{}", base64url(signature));
        assert_eq!(issuer.verify(&token, at(0)).await, Err(Refused::Signature));
    }
    assert_eq!(
        mock.asked(),
        (0, 0),
        "an issuer never publishes an HMAC key, so none is fetched"
    );
}

#[tokio::test]
async fn an_unknown_key_is_fetched_at_most_once_per_30_seconds() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let mock = MockIssuer::start(&[old.jwk("old")]).await;
    let issuer = verifier(&mock);
    let token = new.token("new", &claims(&mock));
    let unknown = Err(Refused::UnknownKey);
    issuer
        .verify(&old.token("old", &claims(&mock)), at(0))
        .await
        .unwrap();
    assert_eq!(issuer.verify(&token, at(29)).await, unknown);
    assert_eq!(
        mock.asked(),
        (1, 1),
        "the keys were fetched less than 30 seconds ago"
    );
    assert_eq!(issuer.verify(&token, at(30)).await, unknown);
    for kid in 0..20 {
        assert_eq!(
            issuer
                .verify(&new.token(&kid.to_string(), &claims(&mock)), at(31 + kid))
                .await,
            unknown
        );
    }
    assert_eq!(mock.asked(), (1, 2), "fetched exactly once more");
    mock.publish(&[new.jwk("new")]);
    assert_eq!(issuer.verify(&token, at(59)).await, unknown);
    issuer.verify(&token, at(60)).await.unwrap();
    assert_eq!(mock.asked(), (1, 3));
    assert_eq!(
        issuer
            .verify(&old.token("old", &claims(&mock)), at(61))
            .await,
        unknown,
        "a removed key is no longer accepted"
    );
}

#[tokio::test]
async fn concurrent_verifications_fetch_the_keys_once() {
    let ec = Signer::ec();
    let mock = MockIssuer::start(&[ec.jwk("e")]).await;
    let issuer = verifier(&mock);
    let token = ec.token("e", &claims(&mock));
    let all = futures_util::future::join_all((0..20).map(|_| issuer.verify(&token, at(0)))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(mock.asked(), (1, 1));
}

#[tokio::test]
async fn cached_keys_are_used_while_the_issuer_is_down() {
    let ec = Signer::ec();
    let mut mock = MockIssuer::start(&[ec.jwk("e")]).await;
    let issuer = verifier(&mock);
    let token = ec.token("e", &claims(&mock));
    issuer.verify(&token, at(0)).await.unwrap();
    issuer.verify(&token, at(3600)).await.unwrap();
    assert_eq!(
        mock.asked(),
        (2, 2),
        "the keys are fetched again after one hour"
    );
    mock.publish(&[]);
    issuer.verify(&token, at(7200)).await.unwrap();
    mock.fail();
    issuer.verify(&token, at(7229)).await.unwrap();
    assert_eq!(
        mock.asked(),
        (3, 3),
        "an empty key set is ignored, and is not fetched again at once"
    );
    issuer.verify(&token, at(7230)).await.unwrap();
    assert_eq!(mock.asked(), (4, 4));
    mock.stop().await;
    issuer.verify(&token, at(9000)).await.unwrap();
    let fresh = verifier(&mock).verify(&token, at(9000)).await;
    assert!(matches!(fresh, Err(Refused::Unavailable(_))), "{fresh:?}");
}

#[tokio::test]
async fn an_invalid_discovery_document_is_not_used() {
    let ec = Signer::ec();
    let mock = MockIssuer::start(&[ec.jwk("e")]).await;
    let token = ec.token("e", &claims(&mock));
    let certs = format!("{}/certs", mock.url);
    let right = json!({"issuer": format!("{}/", mock.url), "jwks_uri": certs});
    let changed = |name: &str, value: Value| with(right.clone(), name, value);
    #[rustfmt::skip]
    let table = [
        ("a trailing slash", right.clone(), true),
        ("another issuer", changed("issuer", json!("https://other.example")), false),
        ("an additional path", changed("issuer", json!(format!("{}/x", mock.url))), false),
        ("keys without TLS", changed("jwks_uri", json!("http://other.example/certs")), false),
        ("keys from a file", changed("jwks_uri", json!("file:///etc/passwd")), false),
        ("no keys", changed("jwks_uri", Value::Null), false),
        ("too long", changed("padding", json!("x".repeat(256 * 1024))), false),
        ("a redirect", json!(certs), false),
        ("not an object", json!(1), false),
    ];
    for (what, document, is_used) in table {
        mock.discover(&document);
        let verified = verifier(&mock).verify(&token, at(0)).await;
        assert_eq!(verified.is_ok(), is_used, "{what}");
        assert!(
            is_used || matches!(verified, Err(Refused::Unavailable(_))),
            "{what}: {verified:?}"
        );
    }
}

#[tokio::test]
async fn a_failed_first_fetch_is_soon_retried() {
    let ec = Signer::ec();
    let mock = MockIssuer::start(&[]).await;
    let issuer = verifier(&mock);
    let token = ec.token("e", &claims(&mock));
    for seconds in [0, 1, 1] {
        assert!(matches!(
            issuer.verify(&token, at(seconds)).await,
            Err(Refused::Unavailable(_))
        ));
    }
    assert_eq!(mock.asked(), (1, 1));
    mock.publish(&[ec.jwk("e")]);
    issuer.verify(&token, at(2)).await.unwrap();
}

#[tokio::test]
async fn cognito_and_keycloak_tokens_are_accepted() {
    let rsa = Signer::rsa();
    let mock = MockIssuer::start(&[rsa.jwk("r")]).await;
    let (now, end) = (at(0).timestamp(), at(900).timestamp());
    let cognito = json!({
        "iss": mock.url, "client_id": "sms", "token_use": "access", "sub": "5d0e", "username": "ana", "scope": "openid",
        "auth_time": now, "iat": now, "exp": end, "jti": "1", "cognito:groups": ["other", "staff"],
    });
    let keycloak = json!({
        "iss": mock.url, "aud": ["sms", "account"], "azp": "web", "typ": "Bearer", "sub": "f:1:ana", "preferred_username": "ana",
        "email": "ana@x.example", "iat": now, "exp": end, "realm_access": {"roles": ["offline_access", "boss"]},
    });
    for (claims, roles_claim, subject, role) in [
        (cognito, "cognito:groups", "5d0e", "operator"),
        (keycloak, "realm_access.roles", "f:1:ana", "admin"),
    ] {
        let issuer = Issuer::new(config(&mock.url, roles_claim)).unwrap();
        let outsider = issuer
            .verify(&rsa.token("r", &claims), at(0))
            .await
            .unwrap();
        assert_eq!(
            (
                outsider.subject.as_str(),
                outsider.name.as_str(),
                outsider.role
            ),
            (subject, "ana", Some(role))
        );
    }
}
