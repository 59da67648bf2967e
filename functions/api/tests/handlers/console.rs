//! The console's page and files: headers, versions, and what the page loads.

use crate::common::Api;
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use lambda_http::tower::ServiceExt;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

async fn get(api: &Api, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = api.router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    (
        parts.status,
        parts.headers,
        String::from_utf8(body).unwrap(),
    )
}

/// Returns the only value of a header.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].to_str().unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_console_needs_no_token_and_executes_its_own_scripts_only(pool: MySqlPool) {
    let api = Api::new(&pool).await.with("");
    let (status, headers, page) = get(&api, "/console").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(only(&headers, "content-type"), "text/html; charset=utf-8");
    assert_eq!(only(&headers, "cache-control"), "no-cache");
    let policy = only(&headers, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
    for expected in [
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(expected), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !page.contains("{version}"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_files_of_this_version_are_stored_for_ever_and_others_are_not(pool: MySqlPool) {
    let api = Api::new(&pool).await.with("");
    let (_, _, page) = get(&api, "/console").await;
    // Relative paths, so that the page also works behind a gateway with a path prefix.
    let names: Vec<_> = page
        .split("=\"console/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(names.len() >= 5 && !page.contains("=\"/"), "{page}");
    for name in names {
        let (status, headers, text) = get(&api, &format!("/console/{name}")).await;
        assert_eq!(status, StatusCode::OK, "{name}");
        let cache = only(&headers, "cache-control");
        assert_eq!(cache, "public, max-age=31536000, immutable", "{name}");
        let kind = if name.ends_with("console.css") {
            "text/css"
        } else {
            "text/javascript"
        };
        assert!(only(&headers, "content-type").starts_with(kind), "{name}");
        // The page of another version gets the file, but the browser does not store it.
        let (_, file) = name.split_once('/').unwrap();
        let (status, headers, other) = get(&api, &format!("/console/older/{file}")).await;
        assert_eq!(
            (status, only(&headers, "cache-control")),
            (StatusCode::OK, "no-cache")
        );
        assert!(other == text, "{name}");
    }
    assert_eq!(
        api.get("/console/older/none.js").await.problem(),
        "not-found"
    );
}
