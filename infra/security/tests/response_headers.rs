//! The headers of responses: request id, security headers, allowed origins and compression.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::Read;

use reqwest::{Method, Response};
use security::{Target, header};

const ORIGIN: &str = "https://console.example.com";

const SECURITY_HEADERS: [(&str, &str); 4] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn each_response_has_a_request_id_and_the_security_headers() {
    let target = Target::log_in_admin().await.unwrap();
    let bearer = format!("Bearer {}", target.admin());
    let table = [
        (Method::GET, "/health", "", 200),
        (Method::GET, "/v1/users", bearer.as_str(), 200),
        (Method::GET, "/v1/users", "", 401),
        (Method::GET, "/nowhere", "", 404),
        (Method::DELETE, "/v1/users", bearer.as_str(), 405),
        (Method::POST, "/v1/users", bearer.as_str(), 422),
        (Method::POST, "/v1/auth/login", "", 422),
    ];
    for (method, path, authorization, status) in table {
        let answer = target
            .call(authorization, method.clone(), path)
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_headers(&answer, &format!("{method} {path}"));
    }
    let echoed = target
        .request(Method::GET, "/health")
        .header("x-request-id", "mine-1")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&echoed, "x-request-id"), "mine-1");
}

fn assert_headers(answer: &Response, call: &str) {
    for (name, value) in SECURITY_HEADERS {
        assert_eq!(header(answer, name), value, "{call}: {name}");
    }
    assert!(
        header(answer, "strict-transport-security").starts_with("max-age="),
        "{call}"
    );
    assert!(!header(answer, "x-request-id").is_empty(), "{call}");
    assert!(
        !header(answer, "server").contains("axum") && header(answer, "x-powered-by").is_empty(),
        "{call}"
    );
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn only_the_configured_origin_is_allowed() {
    let target = Target::log_in_admin().await.unwrap();
    // The emulator answers preflight requests itself: functions/api/tests/handlers/access.rs tests
    // them.
    let from = |origin: &'static str| {
        target
            .request(Method::GET, "/health")
            .header("origin", origin)
            .send()
    };
    assert_eq!(
        header(&from(ORIGIN).await.unwrap(), "access-control-allow-origin"),
        ORIGIN
    );
    for other in [
        "https://console.example.com.evil.example",
        "http://console.example.com",
        "null",
    ] {
        assert_eq!(
            header(&from(other).await.unwrap(), "access-control-allow-origin"),
            "",
            "{other}"
        );
    }
}

/// A compressed response is binary: the function and the gateway transfer it in base64.
#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_compressed_response_is_complete_and_an_unchanged_one_has_no_body() {
    let target = Target::log_in_admin().await.unwrap();
    let get = |name: &'static str, value: String| {
        target
            .request(Method::GET, "/problems")
            .header(name, value)
            .send()
    };
    let plain = get("accept-encoding", "identity".to_owned()).await.unwrap();
    let tag = header(&plain, "etag").to_owned();
    let plain = plain.bytes().await.unwrap();
    let compressed = get("accept-encoding", "gzip".to_owned()).await.unwrap();
    assert_eq!(
        (
            header(&compressed, "content-encoding"),
            header(&compressed, "etag")
        ),
        ("gzip", &*tag)
    );
    let compressed = compressed.bytes().await.unwrap();
    let mut decompressed = Vec::new();
    flate2::read::GzDecoder::new(&*compressed)
        .read_to_end(&mut decompressed)
        .unwrap();
    assert!(
        decompressed == plain && compressed.len() * 2 < plain.len(),
        "{} of {}",
        compressed.len(),
        plain.len()
    );
    let unchanged = get("if-none-match", tag).await.unwrap();
    assert_eq!(
        (
            unchanged.status().as_u16(),
            unchanged.bytes().await.unwrap().len()
        ),
        (304, 0)
    );
}
