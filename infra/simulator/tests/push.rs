//! Pushed receipts, over real HTTP: each final status is pushed, signed, until the receiver accepts
//! it.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ring::hmac;
use serde_json::{Value, json};
use simulator::Settings;
use support::{bench, numbers};

const SECRET: &str = "a secret of at least thirty-two characters";

/// A receiver of receipts, which refuses the first `refused_calls` calls.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<ReceiverState>>);

#[derive(Default)]
struct ReceiverState {
    receipts: Vec<Value>,
    calls: u32,
    refused_calls: u32,
}

impl Receiver {
    /// Starts a receiver and returns it with its URL.
    async fn serve(refused_calls: u32) -> (Self, String) {
        let receiver = Self(Arc::new(Mutex::new(ReceiverState {
            refused_calls,
            ..ReceiverState::default()
        })));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/receipts", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/receipts", post(receive))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    /// Waits until `count` receipts have been accepted, and returns them.
    async fn receipts(&self, count: usize) -> Vec<Value> {
        for _ in 0..400 {
            let receipts = self.0.lock().unwrap().receipts.clone();
            if receipts.len() >= count {
                return receipts;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("fewer than {count} receipts were pushed within 10 s");
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let hex = header("x-callback-signature")
        .strip_prefix("v1=")
        .unwrap()
        .to_owned();
    let tag: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let message = format!("{}.{body}", header("x-callback-timestamp"));
    let signed = hmac::verify(&key, message.as_bytes(), &tag).is_ok();
    let state = &mut *receiver.0.lock().unwrap();
    state.calls += 1;
    if !signed || state.calls <= state.refused_calls {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match serde_json::from_str(&body).unwrap() {
        Value::Array(receipts) => state.receipts.extend(receipts),
        receipt => state.receipts.push(receipt),
    }
    StatusCode::OK
}

fn pushing(url: &str) -> Settings {
    Settings {
        callback_url: Some(url.to_owned()),
        callback_secret: Some(SECRET.to_owned()),
        ..Settings::default()
    }
}

#[tokio::test]
async fn each_final_status_is_pushed_until_it_is_accepted() {
    let (receiver, url) = Receiver::serve(2).await;
    let bench = bench(Settings {
        delivery_delay_ms_max: 50,
        undeliv_prefixes: vec!["4917010".to_owned()],
        ..pushing(&url)
    })
    .await;
    bench
        .bare(&numbers(20).join(","), "Hello")
        .send()
        .await
        .unwrap();
    let receipts = receiver.receipts(20).await;
    let pushed: BTreeSet<_> = receipts
        .iter()
        .map(|receipt| format!("{} {}", receipt["dnis"], receipt["message_id"]))
        .collect();
    let accepted = bench
        .carrier()
        .ledger()
        .into_iter()
        .map(|line| format!("{} {}", json!(line.dnis), json!(line.message_id)));
    assert_eq!(pushed, accepted.collect());
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt["status"] == "DELIVRD" || receipt["status"] == "UNDELIV")
    );
}

#[tokio::test]
async fn a_message_without_a_final_status_is_not_pushed() {
    let (receiver, url) = Receiver::serve(0).await;
    let bench = bench(Settings {
        stuck: 1.0,
        ..pushing(&url)
    })
    .await;
    bench.bare("491701", "Hello").send().await.unwrap();
    bench.carrier().set(pushing(&url)).unwrap();
    bench.bare("491702", "Hello").send().await.unwrap();
    assert_eq!(receiver.receipts(1).await[0]["dnis"], "491702");
}

#[tokio::test]
async fn a_callback_needs_a_loopback_url_and_a_secret() {
    let table = [
        (
            json!({"callback_url": "http://127.0.0.1:9/"}),
            "callback_secret",
        ),
        (
            json!({"callback_url": "http://10.0.0.1/", "callback_secret": "x"}),
            "callback_url",
        ),
        (
            json!({"callback_url": "https://127.0.0.1/", "callback_secret": "x"}),
            "callback_url",
        ),
    ];
    for (patch, field) in table {
        assert_eq!(Settings::default().patched(patch).unwrap_err().field, field);
    }
}
