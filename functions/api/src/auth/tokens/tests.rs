//! Tokens of ours, good and bad, and the keys behind them.

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

/// A token with this header and these claims, really signed with the key of `OLD`.
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
async fn a_token_is_good_for_fifteen_minutes() {
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

#[tokio::test]
async fn what_is_not_ours_is_refused() {
    let keys = keys(OLD).await;
    let header = json!({"typ": "JWT", "alg": "HS256", "kid": "old"});
    let at = now().timestamp();
    let changed = |name: &str, value: Value| signed(&header, &with(claims(), name, value));
    let good = signed(&header, &claims());
    keys.verify(&good, now()).await.unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let table = [
        ("nothing", String::new(), Refused::Malformed),
        (
            "two parts",
            format!("{}.{}", parts[0], parts[1]),
            Refused::Malformed,
        ),
        ("four parts", format!("{good}.x"), Refused::Malformed),
        (
            "no kid",
            signed(&json!({"alg": "HS256"}), &claims()),
            Refused::Malformed,
        ),
        (
            "alg none",
            format!(
                "{}.{}.",
                encoded(&json!({"alg": "none", "kid": "old"})),
                parts[1]
            ),
            Refused::Malformed,
        ),
        (
            "no signature",
            format!("{}.{}.", parts[0], parts[1]),
            Refused::Signature,
        ),
        (
            "RS256",
            signed(&json!({"alg": "RS256", "kid": "old"}), &claims()),
            Refused::Signature,
        ),
        (
            "HS512",
            signed(&json!({"alg": "HS512", "kid": "old"}), &claims()),
            Refused::Signature,
        ),
        (
            "crit",
            signed(
                &json!({"alg": "HS256", "kid": "old", "crit": ["b64"], "b64": false}),
                &claims(),
            ),
            Refused::Malformed,
        ),
        (
            "another kid",
            signed(&json!({"alg": "HS256", "kid": "new"}), &claims()),
            Refused::UnknownKey,
        ),
        (
            "tampered",
            format!(
                "{}.{}.{}",
                parts[0],
                encoded(&with(claims(), "role", json!("admin"))),
                parts[2]
            ),
            Refused::Signature,
        ),
        ("iss", changed("iss", json!("other")), Refused::WrongIssuer),
        (
            "aud",
            changed("aud", json!("other")),
            Refused::WrongAudience,
        ),
        (
            "aud array",
            changed("aud", json!(["sms"])),
            Refused::Malformed,
        ),
        ("expired", changed("exp", json!(at)), Refused::Expired),
        (
            "exp in the far past",
            changed("exp", json!(i64::MIN)),
            Refused::Expired,
        ),
        (
            "not yet",
            changed("nbf", json!(at + 6)),
            Refused::NotYetValid,
        ),
        (
            "nbf in the far future",
            changed("nbf", json!(i64::MAX)),
            Refused::NotYetValid,
        ),
        (
            "nbf a string",
            changed("nbf", json!(at.to_string())),
            Refused::Malformed,
        ),
        ("exp null", changed("exp", Value::Null), Refused::Malformed),
        ("sub", changed("sub", json!("ana")), Refused::Malformed),
    ];
    for (what, token, expected) in table {
        assert_eq!(
            keys.verify(&token, now()).await.unwrap_err(),
            expected,
            "{what}"
        );
    }
    for name in ["iss", "aud", "sub", "sid", "role", "iat", "nbf", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(
            keys.verify(&signed(&header, &claims), now())
                .await
                .unwrap_err(),
            Refused::Malformed,
            "without {name}"
        );
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
    assert_eq!(
        named_key(&new).unwrap(),
        (Algorithm::HS256, "new".to_owned())
    );
    during.verify(&old, now()).await.unwrap();
    during.verify(&new, now()).await.unwrap();
    after.verify(&new, now()).await.unwrap();
    assert_eq!(after.verify(&old, now()).await, Err(Refused::UnknownKey));
    assert_eq!(before.verify(&new, now()).await, Err(Refused::UnknownKey));
}

#[tokio::test]
async fn an_environment_of_before_a_rotation_takes_the_new_key() {
    let secret = std::sync::Arc::new((Mutex::new(OLD.to_owned()), AtomicUsize::new(0)));
    let held = secret.clone();
    let read: ReadSecret = Box::new(move |arn| {
        assert_eq!(arn, "arn:keys");
        held.1.fetch_add(1, Ordering::Relaxed);
        let keys = held.0.lock().unwrap().clone();
        Box::pin(async move {
            (!keys.is_empty())
                .then_some(keys)
                .ok_or_else(|| anyhow::anyhow!("away"))
        })
    });
    let source = KeySource::SecretArn("arn:keys".to_owned());
    let ring = Refreshing::open_with(source, KeyRing::read, read).await;
    let process = SigningKeys::new(ring.unwrap());
    let new = keys(NEW)
        .await
        .issue(Uuid::nil(), Uuid::nil(), "admin", now())
        .unwrap();
    let verify = async |seconds| {
        process
            .verify(&new, now() + TimeDelta::seconds(seconds))
            .await
            .map(drop)
    };
    let become_ = |keys: String| *secret.0.lock().unwrap() = keys;

    assert_eq!(verify(0).await, Err(Refused::UnknownKey));
    become_(format!("[{NEW},{OLD}]"));
    assert_eq!(verify(59).await, Err(Refused::UnknownKey));
    assert_eq!(
        secret.1.load(Ordering::Relaxed),
        2,
        "at the start, and once more"
    );
    become_(String::new());
    assert!(matches!(verify(60).await, Err(Refused::Unavailable(_))));
    become_(format!("[{NEW},{OLD}]"));
    assert_eq!(verify(120).await, Ok(()));
    assert_eq!(verify(600).await, Ok(()));
    assert_eq!(secret.1.load(Ordering::Relaxed), 4);
}

#[test]
fn keys_that_are_not_as_expected_are_not_shown() {
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
            "key 1: its kid is taken",
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
fn the_keys_come_from_exactly_one_place() {
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
