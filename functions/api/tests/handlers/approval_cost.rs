//! A schedule that is planned to cost more than the limit waits for an approval.

use api::{App, resources::schedules::approval::rule::ApprovalRule, routes::router};
use axum::http::Method;
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::{
    approvals::{approval, status},
    common::{Api, operations::send, phones, request},
    prices::import,
};

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_costs_more_than_the_limit_waits_also_if_its_text_becomes_longer(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let app = App {
        approval: ApprovalRule::default().with_cost(2),
        ..api.app.clone()
    };
    let api = Api {
        router: router(app.clone()),
        app,
        ..api
    };
    let admin = api.admin().await;
    let mut body = request();
    body["message"] = json!("x");
    body["recipients"] = json!(phones(0..5));
    let free = api.post(&body).await;
    assert_eq!(free.text("status"), "scheduled", "there are no prices");

    import(&admin, "prefix,price\n1,0.40\n").await;
    let cheap = api.post(&body).await;
    assert_eq!(cheap.text("status"), "scheduled", "it costs exactly 2.00");
    body["recipients"] = json!(phones(0..6));
    let dear = api.post(&body).await;
    assert_eq!(dear.text("status"), "awaiting-approval");
    assert_eq!(approval(&admin, dear.id()).await["reason"], "cost");

    let path = format!("/v1/schedules/{}", cheap.id());
    let longer = json!({"message": "x".repeat(161)}).to_string().into_bytes();
    let changed = send(&api, Method::PATCH, &path, ("application/json", longer)).await;
    assert_eq!(
        changed.body["status"], "awaiting-approval",
        "{}",
        changed.body
    );
    assert_eq!(status(&api, cheap.id()).await, "awaiting-approval");
}
