use std::sync::{
    Arc, Mutex as StdMutex,
    atomic::{AtomicUsize, Ordering},
};

use chrono::TimeDelta;
use ring::hmac;
use serde_json::json;

use shared::platform::refreshing::ReadSecret;

use super::*;
use shared::carrier::{
    receipt::signature::{SIGNATURE, TIMESTAMP},
    registry::ADAPTERS,
};

const OLD: &str = "an old secret of at least thirty-two bytes";
const NEW: &str = "a new secret of at least thirty-two bytes";

fn signed(secret: &str, now: DateTime<Utc>, body: &[u8]) -> HeaderMap {
    let timestamp = now.timestamp().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &[timestamp.as_bytes(), b".", body].concat());
    let hex = tag
        .as_ref()
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let mut headers = HeaderMap::new();
    headers.insert(TIMESTAMP, timestamp.parse().unwrap());
    headers.insert(SIGNATURE, format!("v1={hex}").parse().unwrap());
    headers
}

async fn verify(
    callbacks: &Callbacks,
    carrier: &str,
    secret: &str,
    now: DateTime<Utc>,
) -> &'static str {
    let headers = signed(secret, now, b"[]");
    let call = SignedCall {
        headers: &headers,
        body: b"[]",
    };
    match callbacks
        .verify(ADAPTERS[0].receipts, carrier, call, now)
        .await
    {
        Ok(()) => "ok",
        Err(ApiError::NotFound(_)) => "not found",
        Err(ApiError::BadSignature(_)) => "bad signature",
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn each_carrier_has_its_own_secrets_two_during_a_rotation() {
    let now = Utc::now();
    let source = |json: serde_json::Value| Some(KeySource::Fixed(json.to_string().into()));
    let callbacks = Callbacks::open(source(json!({"one": [NEW, OLD], "two": OLD})))
        .await
        .unwrap();
    for (carrier, secret, expected) in [
        ("one", NEW, "ok"),
        ("one", OLD, "ok"),
        ("two", OLD, "ok"),
        ("two", NEW, "bad signature"),
        ("three", OLD, "not found"),
        ("", OLD, "not found"),
    ] {
        assert_eq!(
            verify(&callbacks, carrier, secret, now).await,
            expected,
            "{carrier} {secret}"
        );
    }
    let none = Callbacks::open(None).await.unwrap();
    assert_eq!(verify(&none, "one", NEW, now).await, "not found");
}

/// A secret in Secrets Manager that the test changes, and how often it was read.
type Held = Arc<(StdMutex<String>, AtomicUsize)>;

/// Returns callbacks whose secrets are those of `held`. Reading an empty secret fails.
async fn callbacks_of(held: &Held) -> Callbacks {
    let held = held.clone();
    let read: ReadSecret = Box::new(move |arn| {
        assert_eq!(arn, "arn:secrets");
        held.1.fetch_add(1, Ordering::Relaxed);
        let secrets = held.0.lock().unwrap().clone();
        Box::pin(async move {
            (!secrets.is_empty())
                .then_some(secrets)
                .ok_or_else(|| anyhow::anyhow!("unavailable"))
        })
    });
    let source = KeySource::SecretArn("arn:secrets".to_owned());
    let secrets = Refreshing::open_with(source, Secrets::read, read).await;
    Callbacks {
        secrets: Some(secrets.unwrap()),
    }
}

#[tokio::test]
async fn a_process_from_before_a_rotation_accepts_the_new_secret() {
    let held: Held = Arc::new((
        StdMutex::new(json!({"one": OLD}).to_string()),
        AtomicUsize::new(0),
    ));
    let callbacks = callbacks_of(&held).await;
    let start = Utc::now();
    let at = |seconds| start + TimeDelta::seconds(seconds);
    let set = |secrets: String| *held.0.lock().unwrap() = secrets;

    assert_eq!(verify(&callbacks, "one", NEW, at(0)).await, "bad signature");
    set(json!({"one": [NEW, OLD], "two": NEW}).to_string());
    assert_eq!(
        verify(&callbacks, "one", NEW, at(59)).await,
        "bad signature"
    );
    assert_eq!(verify(&callbacks, "one", OLD, at(59)).await, "ok");
    assert_eq!(
        held.1.load(Ordering::Relaxed),
        2,
        "at the start, and once more"
    );
    set(String::new());
    assert_eq!(
        verify(&callbacks, "one", NEW, at(60)).await,
        "bad signature"
    );
    assert_eq!(
        verify(&callbacks, "one", OLD, at(60)).await,
        "ok",
        "the previous secrets stay valid"
    );
    set(json!({"one": [NEW, OLD], "two": NEW}).to_string());
    assert_eq!(
        verify(&callbacks, "two", NEW, at(120)).await,
        "ok",
        "a new carrier"
    );
    assert_eq!(verify(&callbacks, "one", NEW, at(120)).await, "ok");
    assert_eq!(held.1.load(Ordering::Relaxed), 4);
}

#[test]
fn errors_about_secrets_do_not_show_them() {
    let secret = "SECRET-SECRET-SECRET-SECRET-SECR";
    assert_eq!(Secrets::read("{}").unwrap().0.len(), 0);
    let read = Secrets::read(&json!({"one": secret, "t-2": [secret, secret]}).to_string()).unwrap();
    assert!(read.0["t-2"].len() == 2 && !format!("{read:?}").contains("SECRET"));
    let table = [
        (String::new(), "expected JSON"),
        (secret.to_owned(), "expected JSON"),
        (json!([secret]).to_string(), "expected JSON"),
        (
            json!({"one": {"secret": secret}}).to_string(),
            "expected JSON",
        ),
        (json!({"one": [1, secret]}).to_string(), "expected JSON"),
        (json!({"": secret}).to_string(), "names of 1 to 32"),
        (json!({"SECRET": secret}).to_string(), "names of 1 to 32"),
        (json!({"one": []}).to_string(), "one: expected one secret"),
        (
            json!({"one": [secret, secret, secret]}).to_string(),
            "one: expected one secret",
        ),
        (
            json!({"one": &secret[1..]}).to_string(),
            "one: expected at least 32 bytes",
        ),
        (
            json!({"one": [secret, &secret[1..]]}).to_string(),
            "one: expected at least 32 bytes",
        ),
    ];
    for (json, expected) in table {
        let error = format!("{:#}", Secrets::read(&json).unwrap_err());
        assert!(
            error.contains(expected) && !error.contains("SECRET"),
            "{json}: {error}"
        );
    }
}

#[test]
fn the_secrets_come_from_at_most_one_variable() {
    let good = json!({"one": OLD}).to_string();
    let read = |pairs: &[(&'static str, &str)]| {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let source = secret_source(&mut env);
        env.finish(source)
    };
    assert!(matches!(read(&[]), Ok(None)));
    assert!(matches!(
        read(&[("CALLBACK_SECRETS", &good)]),
        Ok(Some(KeySource::Fixed(_)))
    ));
    assert!(matches!(
        read(&[("CALLBACK_SECRETS_ARN", "arn:aws:x")]),
        Ok(Some(KeySource::SecretArn(_)))
    ));
    for (pairs, expected) in [
        (
            vec![
                ("CALLBACK_SECRETS", good.as_str()),
                ("CALLBACK_SECRETS_ARN", "arn:aws:x"),
            ],
            "both set",
        ),
        (
            vec![("CALLBACK_SECRETS_ARN", "x")],
            "CALLBACK_SECRETS_ARN is not an ARN",
        ),
        (
            vec![("CALLBACK_SECRETS", r#"{"one":"HIDDEN"}"#)],
            "CALLBACK_SECRETS is not as expected: one: expected",
        ),
    ] {
        let error = read(&pairs).unwrap_err().to_string();
        assert!(
            error.contains(expected) && !error.contains("HIDDEN"),
            "{error}"
        );
    }
}
