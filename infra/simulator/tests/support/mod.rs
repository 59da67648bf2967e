//! A simulator and a client for it, over real HTTP.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use simulator::{Carrier, Settings, Simulator};

pub struct Bench {
    pub simulator: Simulator,
    pub http: Client,
}

/// A simulator with these settings, and a client.
pub async fn bench(settings: Settings) -> Bench {
    // Fails when another test of this process has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Bench {
        simulator: Simulator::start(settings).await.unwrap(),
        http: Client::builder().no_proxy().build().unwrap(),
    }
}

impl Bench {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.url())
    }

    pub fn carrier(&self) -> &Carrier {
        self.simulator.carrier()
    }

    /// A submit request in the bare form.
    pub fn bare(&self, dnis: &str, message: &str) -> RequestBuilder {
        self.http
            .post(self.url("/api"))
            .json(&json!({ "dnis": dnis, "message": message }))
    }

    /// The answer's JSON to a submit request in the bare form.
    pub async fn send(&self, dnis: &str, message: &str) -> Value {
        self.bare(dnis, message)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// A submit request in the full form, as a form.
    pub fn full(&self, more: &[(&str, &str)]) -> RequestBuilder {
        self.http
            .post(self.url("/api"))
            .form(&[&[("command", "submit")], more].concat())
    }

    /// Sends to one number and gives the message id.
    pub async fn send_one(&self, number: &str) -> String {
        self.send(number, "Hello").await["message_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn query(&self, message_id: &str) -> Response {
        self.http
            .get(self.url("/api"))
            .query(&[("messageId", message_id)])
            .send()
            .await
            .unwrap()
    }

    /// The status word of a message.
    pub async fn status(&self, message_id: &str) -> String {
        let answer: Value = self.query(message_id).await.json().await.unwrap();
        answer["status"].as_str().unwrap().to_owned()
    }

    pub async fn patch(&self, patch: Value) -> (StatusCode, Value) {
        let response = self
            .http
            .patch(self.url("/settings"))
            .json(&patch)
            .send()
            .await
            .unwrap();
        (response.status(), response.json().await.unwrap())
    }
}

/// So many distinct numbers.
pub fn numbers(count: u64) -> Vec<String> {
    (0..count)
        .map(|number| (491_700_000_000 + number).to_string())
        .collect()
}

/// Status, content type and body.
pub async fn told(response: Response) -> (u16, String, String) {
    let content_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (
        response.status().as_u16(),
        content_type,
        response.text().await.unwrap(),
    )
}
