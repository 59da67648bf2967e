//! The routes for receipts accept a call by its signature alone.
#![allow(missing_docs, clippy::unwrap_used)]

use reqwest::Method;
use security::{
    Target,
    forge::{self, seconds_from_now},
};
use serde_json::json;

const PATH: &str = "/v1/carrier/callbacks/sim";

/// A receipt with its headers; an empty header is not sent.
struct Receipt {
    path: &'static str,
    timestamp: String,
    signature: String,
}

impl Receipt {
    fn new(timestamp: &str, signature: String) -> Self {
        Self {
            path: PATH,
            timestamp: timestamp.to_owned(),
            signature,
        }
    }

    /// Sends the receipt and returns the status of the response.
    async fn send(self, target: &Target, body: &str) -> u16 {
        let mut call = target
            .request(Method::POST, self.path)
            .header("content-type", "application/json")
            .body(body.to_owned());
        for (name, value) in [
            ("x-callback-timestamp", self.timestamp),
            ("x-callback-signature", self.signature),
        ] {
            if !value.is_empty() {
                call = call.header(name, value);
            }
        }
        call.send().await.unwrap().status().as_u16()
    }
}

/// Returns a time relative to now, as the header has it.
fn timestamp(seconds: i64) -> String {
    seconds_from_now(seconds).to_string()
}

/// The same receipt, each time wrong in one respect. The valid one is accepted though its message
/// is unknown.
#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn receipts_are_accepted_by_their_signature_alone() {
    let target = Target::log_in_admin().await.unwrap();
    let secret = forge::callback_secret().unwrap();
    let body =
        json!({"message_id": "matrix-1", "dnis": "60123456789", "status": "DELIVRD"}).to_string();
    let signed = |time: &str, body: &str| forge::sign_callback(secret.as_bytes(), time, body);
    let (now, old, future) = (timestamp(0), timestamp(-600), timestamp(600));
    let valid = || Receipt::new(&now, signed(&now, &body));
    assert_eq!(valid().send(&target, &body).await, 200, "valid");
    let other_carrier = Receipt {
        path: "/v1/carrier/callbacks/another",
        ..valid()
    };
    assert_eq!(other_carrier.send(&target, &body).await, 404);
    let with_key = |key: &[u8]| forge::sign_callback(key, &now, &body);
    let refused = [
        ("unsigned", Receipt::new(&now, String::new())),
        ("without a time", Receipt::new("", signed(&now, &body))),
        ("an empty key", Receipt::new(&now, with_key(b""))),
        ("another secret", Receipt::new(&now, with_key(&[7; 32]))),
        ("another body", Receipt::new(&now, signed(&now, "[]"))),
        (
            "another time",
            Receipt::new(&now, signed(&timestamp(-9), &body)),
        ),
        ("too old", Receipt::new(&old, signed(&old, &body))),
        (
            "in the future",
            Receipt::new(&future, signed(&future, &body)),
        ),
    ];
    for (name, receipt) in refused {
        assert_eq!(receipt.send(&target, &body).await, 401, "{name}");
    }
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_login_is_not_accepted_instead_of_a_signature() {
    let target = Target::log_in_admin().await.unwrap();
    let admin = format!("Bearer {}", target.admin());
    let answer = target.call(&admin, Method::POST, PATH).await.unwrap();
    assert_eq!(answer.status(), 401);
}
