//! Access tokens, valid and invalid ones, and their keys.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::platform::refreshing::{ReadSecret, Refreshing};

use crate::auth::tokens::*;

const OLD: &str = r#"{"kid":"old","key":"old-old-old-old-old-old-old-old-"}"#;
const NEW: &str = r#"{"kid":"new","key":"new-new-new-new-new-new-new-new-"}"#;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn keys(json: &str) -> SigningKeys {
    SigningKeys::open(KeySource::Fixed(json.to_owned().into()))
        .await
        .unwrap()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Returns a token with this header and these claims, signed with the key of `OLD`.
fn signed(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"old-old-old-old-old-old-old-old-");
    format!(
        "{message}.{}",
        URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, message.as_bytes()))
    )
}

fn claims() -> Value {
    let at = now().timestamp();
    json!({"iss": "sms", "aud": "sms", "sub": Uuid::nil(), "sid": Uuid::max(), "role": "viewer", "iat": at, "nbf": at, "exp": at + 900})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_token_is_valid_for_fifteen_minutes() {
    let keys = keys(OLD).await;
    let (user, session) = (Uuid::now_v7(), Uuid::now_v7());
    let token = keys.issue(user, session, "operator", now()).unwrap();
    let claims = keys.verify(&token, now()).await.unwrap();
    assert_eq!(
        (claims.sub, claims.sid, claims.role.as_str()),
        (user, session, "operator")
    );
    assert_eq!(
        (claims.iat, claims.nbf, claims.exp),
        (1_800_000_000, 1_800_000_000, 1_800_000_900)
    );
    assert_eq!(unverified_issuer(&token).as_deref(), Some("sms"));
    for (seconds, expected) in [
        (-6, Err(Refused::NotYetValid)),
        (-5, Ok(())),
        (0, Ok(())),
        (899, Ok(())),
        (900, Err(Refused::Expired)),
    ] {
        let verified = keys
            .verify(&token, now() + TimeDelta::seconds(seconds))
            .await;
        assert_eq!(verified.map(drop), expected, "after {seconds} s");
    }
}

/// The header of a valid token.
fn header() -> Value {
    json!({"typ": "JWT", "alg": "HS256", "kid": "old"})
}

/// The token of `claims()` in three parts.
fn valid_parts() -> [String; 3] {
    let valid = signed(&header(), &claims());
    let parts: Vec<_> = valid.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

async fn assert_refused(token: &str, expected: Refused, what: &str) {
    let verified = keys(OLD).await.verify(token, now()).await;
    assert_eq!(verified.unwrap_err(), expected, "{what}");
}

#[tokio::test]
async fn a_token_of_another_form_is_refused() {
    let [head, claims, signature] = valid_parts();
    let valid = format!("{head}.{claims}.{signature}");
    keys(OLD).await.verify(&valid, now()).await.unwrap();
    for (what, token) in [
        ("nothing", String::new()),
        ("two parts", format!("{head}.{claims}")),
        ("four parts", format!("{valid}.x")),
    ] {
        assert_refused(&token, Refused::Malformed, what).await;
    }
}

#[tokio::test]
async fn a_token_with_another_header_is_refused() {
    let [_, payload, _] = valid_parts();
    let unsigned = encoded(&json!({"alg": "none", "kid": "old"}));
    let critical = json!({"alg": "HS256", "kid": "old", "crit": ["b64"], "b64": false});
    let with_header = |header: Value| signed(&header, &claims());
    for (what, token, expected) in [
        (
            "no kid",
            with_header(json!({"alg": "HS256"})),
            Refused::Malformed,
        ),
        (
            "alg none",
            format!("{unsigned}.{payload}."),
            Refused::Malformed,
        ),
        (
            "RS256",
            with_header(json!({"alg": "RS256", "kid": "old"})),
            Refused::Signature,
        ),
        (
            "HS512",
            with_header(json!({"alg": "HS512", "kid": "old"})),
            Refused::Signature,
        ),
        ("crit", with_header(critical), Refused::Malformed),
        (
            "another kid",
            with_header(json!({"alg": "HS256", "kid": "new"})),
            Refused::UnknownKey,
        ),
    ] {
        assert_refused(&token, expected, what).await;
    }
}

#[tokio::test]
async fn a_token_with_another_signature_is_refused() {
    let [head, payload, signature] = valid_parts();
    let tampered = encoded(&with(claims(), "role", json!("admin")));
    for (what, token) in [
        ("no signature", format!("{head}.{payload}.")),
        ("tampered", format!("{head}.{tampered}.{signature}")),
    ] {
        assert_refused(&token, Refused::Signature, what).await;
    }
}

#[tokio::test]
async fn a_token_with_wrong_claims_is_refused() {
    let at = now().timestamp();
    for (name, value, expected) in [
        ("iss", json!("other"), Refused::WrongIssuer),
        ("aud", json!("other"), Refused::WrongAudience),
        ("aud", json!(["sms"]), Refused::Malformed),
        ("exp", json!(at), Refused::Expired),
        ("exp", json!(i64::MIN), Refused::Expired),
        ("nbf", json!(at + 6), Refused::NotYetValid),
        ("nbf", json!(i64::MAX), Refused::NotYetValid),
        ("nbf", json!(at.to_string()), Refused::Malformed),
        ("exp", Value::Null, Refused::Malformed),
        ("sub", json!("ana"), Refused::Malformed),
    ] {
        let what = format!("{name} {value}");
        let token = signed(&header(), &with(claims(), name, value));
        assert_refused(&token, expected, &what).await;
    }
    for name in ["iss", "aud", "sub", "sid", "role", "iat", "nbf", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        let token = signed(&header(), &claims);
        assert_refused(&token, Refused::Malformed, &format!("without {name}")).await;
    }
}

#[tokio::test]
async fn old_tokens_verify_while_the_new_key_signs() {
    let before = keys(OLD).await;
    let during = keys(&format!("[{NEW},{OLD}]")).await;
    let after = keys(&format!("[{NEW}]")).await;
    let issue = |keys: &SigningKeys| {
        keys.issue(Uuid::nil(), Uuid::nil(), "admin", now())
            .unwrap()
    };
    let (old, new) = (issue(&before), issue(&during));
    let header = named_key(&new).unwrap();
    assert_eq!(
        (header.algorithm, header.kid.as_str()),
        (Algorithm::HS256, "new")
    );
    during.verify(&old, now()).await.unwrap();
    during.verify(&new, now()).await.unwrap();
    after.verify(&new, now()).await.unwrap();
    assert_eq!(after.verify(&old, now()).await, Err(Refused::UnknownKey));
    assert_eq!(before.verify(&new, now()).await, Err(Refused::UnknownKey));
}

/// A secret in memory: its text, empty if it is unavailable, and the number of reads.
type FakeSecret = std::sync::Arc<(Mutex<String>, AtomicUsize)>;

async fn keys_in(secret: &FakeSecret) -> SigningKeys {
    let source = std::sync::Arc::clone(secret);
    let read: ReadSecret = Box::new(move |arn| {
        assert_eq!(arn, "arn:keys");
        source.1.fetch_add(1, Ordering::Relaxed);
        let keys = source.0.lock().unwrap().clone();
        Box::pin(async move {
            (!keys.is_empty())
                .then_some(keys)
                .ok_or_else(|| anyhow::anyhow!("unavailable"))
        })
    });
    let source = KeySource::SecretArn("arn:keys".to_owned());
    let ring = Refreshing::open_with(source, KeyRing::read, read).await;
    SigningKeys::new(ring.unwrap())
}

#[tokio::test]
async fn a_process_from_before_a_rotation_accepts_the_new_key() {
    let secret = FakeSecret::new((Mutex::new(OLD.to_owned()), AtomicUsize::new(0)));
    let set = |keys: String| *secret.0.lock().unwrap() = keys;
    let reads = || secret.1.load(Ordering::Relaxed);
    let process = keys_in(&secret).await;
    let rotated = keys(NEW).await;
    let token = rotated.issue(Uuid::nil(), Uuid::nil(), "admin", now());
    let token = token.unwrap();
    let verify = async |seconds| {
        let verified = process.verify(&token, now() + TimeDelta::seconds(seconds));
        verified.await.map(drop)
    };

    assert_eq!(verify(0).await, Err(Refused::UnknownKey));
    set(format!("[{NEW},{OLD}]"));
    assert_eq!(verify(59).await, Err(Refused::UnknownKey));
    assert_eq!(reads(), 2, "at the start, and once more");
    set(String::new());
    assert!(matches!(verify(60).await, Err(Refused::Unavailable(_))));
    set(format!("[{NEW},{OLD}]"));
    assert_eq!(verify(120).await, Ok(()));
    assert_eq!(verify(600).await, Ok(()));
    assert_eq!(reads(), 4);
}

#[test]
fn errors_about_keys_do_not_show_them() {
    let key = "SECRET-SECRET-SECRET-SECRET-SECR";
    let one = |kid: &str, key: &str| json!({"kid": kid, "key": key});
    KeyRing::read(&one("a", key).to_string()).unwrap();
    KeyRing::read(&json!([one(&"é".repeat(64), key), one("b", key)]).to_string()).unwrap();
    let table = [
        ("[]".to_owned(), "at least one key"),
        (String::new(), "expected JSON"),
        (key.to_owned(), "expected JSON"),
        (json!({"kid": "a"}).to_string(), "expected JSON"),
        (json!({"kid": 1, "key": key}).to_string(), "expected JSON"),
        (
            json!([{"kid": "a", "key": [key]}]).to_string(),
            "expected JSON",
        ),
        (
            one("a", &key[1..]).to_string(),
            "key 0: expected at least 32 bytes",
        ),
        (one("", key).to_string(), "key 0: expected a kid"),
        (
            json!([one("a", key), one(&"k".repeat(65), key)]).to_string(),
            "key 1: expected a kid",
        ),
        (
            json!([one("a", key), one("a", key)]).to_string(),
            "key 1: another key has the same kid",
        ),
    ];
    for (json, expected) in table {
        let error = format!("{:#}", KeyRing::read(&json).unwrap_err());
        assert!(
            error.contains(expected) && !error.contains("SECRET"),
            "{json}: {error}"
        );
    }
    let ring = KeyRing::read(&one("a", key).to_string()).unwrap();
    assert!(!format!("{ring:?}").contains("SECRET"));
}

#[test]
fn the_keys_come_from_exactly_one_variable() {
    let read = |pairs: &[(&'static str, &str)]| {
        let mut env = shared::platform::config::Env::from_pairs(pairs.iter().copied());
        let source = key_source(&mut env);
        env.finish(source)
    };
    assert!(matches!(
        read(&[("JWT_KEYS", OLD)]),
        Ok(KeySource::Fixed(_))
    ));
    assert!(matches!(
        read(&[("JWT_KEYS_SECRET_ARN", "arn:aws:x")]),
        Ok(KeySource::SecretArn(_))
    ));
    for (pairs, expected) in [
        (
            vec![],
            "JWT_KEYS is missing; expected it, or JWT_KEYS_SECRET_ARN",
        ),
        (
            vec![("JWT_KEYS", OLD), ("JWT_KEYS_SECRET_ARN", "arn:aws:x")],
            "both set",
        ),
        (
            vec![("JWT_KEYS_SECRET_ARN", "x")],
            "JWT_KEYS_SECRET_ARN is not an ARN",
        ),
        (
            vec![("JWT_KEYS", r#"{"kid":"a","key":"HIDDEN"}"#)],
            "JWT_KEYS is not as expected: key 0",
        ),
    ] {
        let error = read(&pairs).unwrap_err().to_string();
        assert!(
            error.contains(expected) && !error.contains("HIDDEN"),
            "{error}"
        );
    }
}
