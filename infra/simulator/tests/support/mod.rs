//! A simulator and a client that calls it over real HTTP.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use simulator::{Carrier, Settings, Simulator};

pub struct Bench {
    pub simulator: Simulator,
    pub http: Client,
}

/// Starts a simulator with these settings, and creates a client.
pub async fn bench(settings: Settings) -> Bench {
    // Fails if another test of this process has already installed the provider.
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

    /// Builds a submit request in the bare form.
    pub fn bare(&self, dnis: &str, message: &str) -> RequestBuilder {
        self.http
            .post(self.url("/api"))
            .json(&json!({ "dnis": dnis, "message": message }))
    }

    /// Sends a submit request in the bare form and returns the JSON of the response.
    pub async fn send(&self, dnis: &str, message: &str) -> Value {
        self.bare(dnis, message)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Builds a submit request in the full form, with a form body.
    pub fn full(&self, more: &[(&str, &str)]) -> RequestBuilder {
        self.http
            .post(self.url("/api"))
            .form(&[&[("command", "submit")], more].concat())
    }

    /// Sends a message to one number and returns the message id.
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

    /// Returns the status of a message.
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

/// Returns `count` distinct numbers.
pub fn numbers(count: u64) -> Vec<String> {
    (0..count)
        .map(|number| (491_700_000_000 + number).to_string())
        .collect()
}

/// Reads the status, the content type and the body.
pub async fn read(response: Response) -> (u16, String, String) {
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
