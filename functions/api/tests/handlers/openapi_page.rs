//! The served OpenAPI document and its page: headers, compression, entity tags.

use std::io::Read;

use crate::common::Api;
use api::routes::document;
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use lambda_http::tower::ServiceExt;
use serde_json::Value;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

async fn get(api: &Api, path: &str, header: (&str, &str)) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::get(path)
        .header(header.0, header.1)
        .body(Body::empty())
        .unwrap();
    let (parts, body) = api
        .router
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .into_parts();
    (
        parts.status,
        parts.headers,
        to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    )
}

fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_document_is_served_without_a_login(pool: MySqlPool) {
    let api = Api::new(&pool).await.with("");
    let (status, headers, plain) = get(&api, "/openapi.json", ("accept", "*/*")).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'; frame")
    );
    let served: Value = serde_json::from_slice(&plain).unwrap();
    assert!(served == *document() && served["openapi"] == "3.1.1");
    let (_, headers, packed) = get(&api, "/openapi.json", ("accept-encoding", "gzip")).await;
    assert!(
        headers["content-encoding"] == "gzip"
            && packed.len() * 4 < plain.len()
            && unpack(&packed) == plain
    );
    let tag = headers["etag"].to_str().unwrap();
    assert_eq!(
        get(&api, "/openapi.json", ("if-none-match", tag)).await.0,
        StatusCode::NOT_MODIFIED
    );
}

/// Checks content type, policy, compression and entity tag of a file that the page loads.
async fn assert_served(api: &Api, name: &str, policy: &str) {
    let path = format!("/docs/{name}");
    let (status, headers, plain) = get(api, &path, ("accept", "*/*")).await;
    assert_eq!(
        (status, headers["content-security-policy"].to_str().unwrap()),
        (StatusCode::OK, policy),
        "{name}"
    );
    let kind = headers["content-type"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let documented = &document()["paths"]["/docs/{file}"]["get"]["responses"]["200"]["content"];
    assert!(documented.get(kind).is_some(), "{name}: {kind}");
    let (_, headers, packed) = get(api, &path, ("accept-encoding", "gzip, br")).await;
    if name.starts_with("swagger") {
        assert!(
            headers["content-encoding"] == "gzip"
                && packed.len() * 3 < plain.len()
                && unpack(&packed) == plain,
            "{name}"
        );
    }
    assert_eq!(
        get(api, &path, ("if-none-match", "*")).await.0,
        StatusCode::NOT_MODIFIED,
        "{name}"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_docs_page_is_complete_and_loads_nothing_external(pool: MySqlPool) {
    let api = Api::new(&pool).await.with("");
    let (status, headers, page) = get(&api, "/docs", ("accept", "*/*")).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'")
            && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = String::from_utf8(page).unwrap();
    // Relative paths, so that the page also works behind a gateway with a path prefix.
    let names: Vec<_> = page
        .split("=\"docs/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(
        names.len() == 4 && !page.contains("//") && !page.contains("=\"/"),
        "{page}"
    );
    for name in names {
        assert_served(&api, name, policy).await;
    }
    assert_eq!(api.get("/docs/none").await.problem(), "not-found");
}
