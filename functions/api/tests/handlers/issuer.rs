//! Tokens of an outside issuer, from one that runs here: what is taken, what is refused, and how often the issuer is asked.

use api::auth::{
    issuer::{Issuer, IssuerConfig},
    tokens::{Refused, unverified_issuer},
};
use chrono::{DateTime, TimeDelta, Utc};
use ring::{hmac, signature::RsaPublicKeyComponents};
use serde_json::{Value, json};
use testkit::issuer::{MockIssuer, Signer, base64url};

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

/// Good for a day.
fn claims(mock: &MockIssuer) -> Value {
    let now = at(0).timestamp();
    json!({"iss": mock.url, "aud": "sms", "sub": "u1", "iat": now, "nbf": now, "exp": now + 86_400, "roles": ["staff", "boss"]})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_of_both_algorithms_are_taken() {
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

#[tokio::test]
async fn what_is_not_the_issuers_is_refused() {
    let (rsa, ec) = (Signer::rsa(), Signer::ec());
    let mock = MockIssuer::start(&[rsa.jwk("r"), ec.jwk("e")]).await;
    let issuer = verifier(&mock);
    let good = claims(&mock);
    let token = ec.token("e", &good);
    issuer.verify(&token, at(0)).await.unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let changed = |name: &str, value: Value| ec.token("e", &with(good.clone(), name, value));
    let tampered = base64url(with(good.clone(), "roles", json!(["boss"])).to_string());
    let none = base64url(json!({"alg": "none", "kid": "r"}).to_string());
    let table = [
        (
            "expired",
            changed("exp", json!(at(-30).timestamp())),
            Refused::Expired,
        ),
        (
            "nbf to come",
            changed("nbf", json!(at(31).timestamp())),
            Refused::NotYetValid,
        ),
        (
            "iat to come",
            changed("iat", json!(at(31).timestamp())),
            Refused::NotYetValid,
        ),
        ("no exp", changed("exp", Value::Null), Refused::Malformed),
        (
            "other iss",
            changed("iss", json!("https://other.example")),
            Refused::WrongIssuer,
        ),
        (
            "other aud",
            changed("aud", json!("other")),
            Refused::WrongAudience,
        ),
        (
            "alg none",
            format!("{none}.{}.", parts[1]),
            Refused::Malformed,
        ),
        (
            "no signature",
            format!("{}.{}.", parts[0], parts[1]),
            Refused::Signature,
        ),
        (
            "tampered",
            format!("{}.{tampered}.{}", parts[0], parts[2]),
            Refused::Signature,
        ),
        (
            "signed by another",
            Signer::ec().token("e", &good),
            Refused::Signature,
        ),
        (
            "signed by the issuer's other key",
            ec.token("r", &good),
            Refused::Signature,
        ),
        (
            "the key's algorithm is another",
            ec.token_with(&json!({"alg": "RS256", "kid": "e"}), &good),
            Refused::Signature,
        ),
        (
            "an algorithm that isn't taken",
            rsa.token_with(&json!({"alg": "RS512", "kid": "r"}), &good),
            Refused::Signature,
        ),
        (
            "no kid",
            ec.token_with(&json!({"alg": "ES256"}), &good),
            Refused::Malformed,
        ),
        (
            "crit",
            ec.token_with(
                &json!({"alg": "ES256", "kid": "e", "crit": ["x"], "x": 1}),
                &good,
            ),
            Refused::Malformed,
        ),
        (
            "not a token",
            "sms_abcdefgh_secret".to_owned(),
            Refused::Malformed,
        ),
    ];
    for (what, token, expected) in table {
        assert_eq!(issuer.verify(&token, at(0)).await, Err(expected), "{what}");
    }
    assert_eq!(mock.asked(), (1, 1));
}

#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
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
        "the issuer can't have such a key, so it isn't asked"
    );
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_in_thirty_seconds() {
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
    assert_eq!(mock.asked(), (1, 1), "the keys were fetched a moment ago");
    assert_eq!(issuer.verify(&token, at(30)).await, unknown);
    for kid in 0..20 {
        assert_eq!(
            issuer
                .verify(&new.token(&kid.to_string(), &claims(&mock)), at(31 + kid))
                .await,
            unknown
        );
    }
    assert_eq!(mock.asked(), (1, 2), "once more, and not again");
    mock.publish(&[new.jwk("new")]);
    assert_eq!(issuer.verify(&token, at(59)).await, unknown);
    issuer.verify(&token, at(60)).await.unwrap();
    assert_eq!(mock.asked(), (1, 3));
    assert_eq!(
        issuer
            .verify(&old.token("old", &claims(&mock)), at(61))
            .await,
        unknown,
        "a key that is gone is no key"
    );
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let ec = Signer::ec();
    let mock = MockIssuer::start(&[ec.jwk("e")]).await;
    let issuer = verifier(&mock);
    let token = ec.token("e", &claims(&mock));
    let all = futures_util::future::join_all((0..20).map(|_| issuer.verify(&token, at(0)))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(mock.asked(), (1, 1));
}

#[tokio::test]
async fn an_issuer_that_is_down_is_not_missed_while_its_keys_are_known() {
    let ec = Signer::ec();
    let mut mock = MockIssuer::start(&[ec.jwk("e")]).await;
    let issuer = verifier(&mock);
    let token = ec.token("e", &claims(&mock));
    issuer.verify(&token, at(0)).await.unwrap();
    issuer.verify(&token, at(3600)).await.unwrap();
    assert_eq!(mock.asked(), (2, 2), "an hour later they are fetched again");
    mock.publish(&[]);
    issuer.verify(&token, at(7200)).await.unwrap();
    mock.fail();
    issuer.verify(&token, at(7229)).await.unwrap();
    assert_eq!(
        mock.asked(),
        (3, 3),
        "no keys at all is no answer, and is not asked for again at once"
    );
    issuer.verify(&token, at(7230)).await.unwrap();
    assert_eq!(mock.asked(), (4, 4));
    mock.stop().await;
    issuer.verify(&token, at(9000)).await.unwrap();
    let fresh = verifier(&mock).verify(&token, at(9000)).await;
    assert!(matches!(fresh, Err(Refused::Unavailable(_))), "{fresh:?}");
}

#[tokio::test]
async fn a_document_that_is_not_the_issuers_is_not_used() {
    let ec = Signer::ec();
    let mock = MockIssuer::start(&[ec.jwk("e")]).await;
    let token = ec.token("e", &claims(&mock));
    let certs = format!("{}/certs", mock.url);
    let right = json!({"issuer": format!("{}/", mock.url), "jwks_uri": certs});
    let table = [
        ("a slash at the end", right.clone(), true),
        (
            "another issuer",
            with(right.clone(), "issuer", json!("https://other.example")),
            false,
        ),
        (
            "a path below",
            with(right.clone(), "issuer", json!(format!("{}/x", mock.url))),
            false,
        ),
        (
            "keys without TLS",
            with(
                right.clone(),
                "jwks_uri",
                json!("http://other.example/certs"),
            ),
            false,
        ),
        (
            "keys of a file",
            with(right.clone(), "jwks_uri", json!("file:///etc/passwd")),
            false,
        ),
        (
            "no keys",
            with(right.clone(), "jwks_uri", Value::Null),
            false,
        ),
        (
            "too long",
            with(right, "padding", json!("x".repeat(256 * 1024))),
            false,
        ),
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
async fn an_issuer_that_was_down_at_first_is_soon_asked_again() {
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
async fn the_shapes_of_cognito_and_keycloak_are_read() {
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
