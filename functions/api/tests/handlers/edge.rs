//! Requests that avoid the edge, if there is one.

use api::{App, http::edge::Edge, routes::router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use shared::platform::{config::KeySource, db::MIGRATOR};
use sqlx::MySqlPool;

use crate::common::Api;

const PROOF: &str = "0123456789abcdef0123456789abcdef";

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_request_that_avoids_the_edge_is_refused(pool: MySqlPool) {
    let mut api = Api::new(&pool).await;
    let source = KeySource::Fixed(format!(r#"{{"proof": "{PROOF}"}}"#).into());
    api.router = router(App {
        edge: Edge::open(Some(source)).await.unwrap(),
        ..api.app.clone()
    });
    let direct = api.get("/v1/schedules").await;
    assert_eq!(direct.status, StatusCode::FORBIDDEN, "{}", direct.body);
    assert_eq!(direct.body["type"], "/problems/forbidden");
    assert_eq!(api.get("/health").await.status, StatusCode::OK);
    let through = Request::get("/v1/schedules")
        .header("x-origin-proof", PROOF)
        .header("x-viewer-address", "2001:db8::7")
        .body(Body::empty())
        .unwrap();
    let through = api.call(through).await;
    assert_eq!(through.status, StatusCode::OK, "{}", through.body);
}
