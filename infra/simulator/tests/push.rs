//! What a carrier that pushes sends, over real HTTP: each end once it is taken, signed, and again while it is not.
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

/// What came, and how many calls are still to be refused.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<(Vec<Value>, u32, u32)>>);

impl Taken {
    /// Refuses the first so many calls.
    async fn serve(refused: u32) -> (Self, String) {
        let taken = Self(Arc::new(Mutex::new((Vec::new(), 0, refused))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/receipts", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/receipts", post(take))
            .with_state(taken.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (taken, url)
    }

    /// The receipts, once there are so many.
    async fn receipts(&self, many: usize) -> Vec<Value> {
        for _ in 0..400 {
            let taken = self.0.lock().unwrap().0.clone();
            if taken.len() >= many {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{many} receipts did not come");
    }
}

async fn take(State(taken): State<Taken>, headers: HeaderMap, body: String) -> StatusCode {
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
    let (receipts, calls, refused) = &mut *taken.0.lock().unwrap();
    *calls += 1;
    if !signed || *calls <= *refused {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match serde_json::from_str(&body).unwrap() {
        Value::Array(many) => receipts.extend(many),
        one => receipts.push(one),
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
async fn every_end_is_pushed_with_its_id_and_again_until_it_is_taken() {
    let (taken, url) = Taken::serve(2).await;
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
    let receipts = taken.receipts(20).await;
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
async fn what_never_ends_is_never_pushed() {
    let (taken, url) = Taken::serve(0).await;
    let bench = bench(Settings {
        stuck: 1.0,
        ..pushing(&url)
    })
    .await;
    bench.bare("491701", "Hello").send().await.unwrap();
    bench.carrier().set(pushing(&url)).unwrap();
    bench.bare("491702", "Hello").send().await.unwrap();
    assert_eq!(taken.receipts(1).await[0]["dnis"], "491702");
}

#[tokio::test]
async fn pushing_needs_an_address_of_this_machine_and_a_secret() {
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
