//! Response handling: entity tags, compression, and the pages of the problem types.

use std::{collections::BTreeSet, io::Read};

use crate::common::{Api, phones};
use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode},
};
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

async fn get(api: &Api, path: &str, header: (&str, &str)) -> Response<Body> {
    let request = Request::get(path)
        .header("authorization", format!("Bearer {}", api.token))
        .header(header.0, header.1);
    api.router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

fn text<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unchanged_resource_is_answered_with_304(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    let path = format!("/v1/schedules/{id}");
    let first = get(&api, &path, ("accept", "*/*")).await;
    let tag = text(&first, "etag").to_owned();
    assert!(
        tag.starts_with("W/\"") && first.status() == StatusCode::OK,
        "{tag}"
    );
    for known in [
        tag.clone(),
        tag.trim_start_matches("W/").to_owned(),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let same = get(&api, &path, ("if-none-match", &known)).await;
        assert_eq!(
            (
                same.status(),
                text(&same, "etag"),
                text(&same, "content-type")
            ),
            (StatusCode::NOT_MODIFIED, &*tag, ""),
            "{known}"
        );
        assert!(!text(&same, "x-request-id").is_empty() && !text(&same, "ratelimit").is_empty());
        assert!(to_bytes(same.into_body(), 1_000).await.unwrap().is_empty());
    }
    assert_eq!(
        get(&api, &path, ("if-none-match", "\"x\"")).await.status(),
        StatusCode::OK
    );
    api.post_step(id, "pause").await;
    let changed = get(&api, &path, ("if-none-match", &tag)).await;
    assert_eq!(changed.status(), StatusCode::OK);
    assert_ne!(text(&changed, "etag"), tag);
    let missing = get(&api, "/v1/schedules/1", ("if-none-match", "*")).await;
    assert_eq!(
        (missing.status(), text(&missing, "etag")),
        (StatusCode::NOT_FOUND, "")
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn long_responses_are_compressed_as_the_client_requests(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..200)).await;
    let path = format!("/v1/schedules/{id}/recipients?limit=200");
    let plain = get(&api, &path, ("accept-encoding", "identity")).await;
    assert_eq!(text(&plain, "content-encoding"), "");
    let plain = to_bytes(plain.into_body(), usize::MAX).await.unwrap();
    let gzip = get(&api, &path, ("accept-encoding", "gzip")).await;
    assert_eq!(text(&gzip, "content-encoding"), "gzip");
    let vary: Vec<_> = gzip.headers().get_all("vary").iter().collect();
    assert_eq!(vary, ["accept", "accept-encoding"]);
    let gzip = to_bytes(gzip.into_body(), usize::MAX).await.unwrap();
    assert!(
        gzip.len() * 5 < plain.len(),
        "{} of {}",
        gzip.len(),
        plain.len()
    );
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*gzip)
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(unpacked == plain);
    let brotli = get(&api, &path, ("accept-encoding", "br, gzip;q=0.5")).await;
    assert_eq!(text(&brotli, "content-encoding"), "br");
    assert!(
        to_bytes(brotli.into_body(), usize::MAX)
            .await
            .unwrap()
            .len()
            * 5
            < plain.len()
    );
    let short = get(&api, "/health", ("accept-encoding", "gzip")).await;
    assert_eq!(text(&short, "content-encoding"), "");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_problem_type_has_a_page_and_an_entry_in_the_docs(pool: MySqlPool) {
    let anonymous = Api::new(&pool).await.with("");
    let all = anonymous.get("/problems").await.body;
    let slugs: BTreeSet<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|page| page["slug"].as_str().unwrap().to_owned())
        .collect();
    let shown = anonymous.get("/problems/schedule-begun").await;
    assert_eq!(
        (shown.status, &shown.body["status"]),
        (StatusCode::OK, &json!(409))
    );
    assert!(matches!(&shown.body["remedy"], Value::String(remedy) if !remedy.is_empty()));
    assert_eq!(anonymous.get("/problems/none").await.problem(), "not-found");
    let docs = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/api/problems.md"
    ))
    .unwrap();
    let documented: BTreeSet<_> = docs
        .split("`/problems/")
        .skip(1)
        .map(|rest| rest.split('`').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        documented
            .into_iter()
            .filter(|slug| slug != "{slug}")
            .collect::<BTreeSet<_>>(),
        slugs
    );
}
