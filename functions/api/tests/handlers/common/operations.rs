//! The operations of the OpenAPI document, and calls to them.

use api::routes::document;
use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::Value;

use super::{Answer, Api, receipts};

/// An operation of the document: method, path and description.
pub type Operation = (Method, &'static str, &'static Value);

/// Returns all operations of the document.
pub fn operations() -> Vec<Operation> {
    let paths = document()["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&'static String, &'static Value)| {
        let method = |name: &String| name.to_uppercase().parse().unwrap();
        methods
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, operation)| (method(name), &**path, operation))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Fills the parameters of a path with valid values of resources that do not exist.
pub fn filled(path: &str) -> String {
    path.replace("{id}", "018f0000-0000-7000-8000-000000000000")
        .replace("{phone}", "+60123456789")
        .replace("{slug}", "not-found")
        .replace("{kind}", "paused")
        .replace("{no}", "1")
        .replace("{recipient}", "1")
        .replace("{carrier}", "sim")
        .replace("{sender}", "Acme")
        .replace("{event_id}", "018f0000-0000-7000-8000-000000000000")
}

/// Sends a body with this content type. Calls of the carrier are signed.
pub async fn send(api: &Api, method: Method, path: &str, (kind, body): (&str, Vec<u8>)) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind);
    if path == receipts::PATH {
        let timestamp = chrono::Utc::now().timestamp().to_string();
        let signature = receipts::sign(receipts::SECRET, &timestamp, &body);
        request = request
            .header("x-callback-timestamp", timestamp)
            .header("x-callback-signature", signature);
    }
    api.call(request.body(Body::from(body)).unwrap()).await
}
