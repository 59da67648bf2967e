//! Prices: a list is imported as a new version, or refused with the lines that are wrong; a dry run
//! and a schedule show what they cost.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;

use crate::common::{Answer, Api, count, insert_key, request};

const PRICES: &str = "/v1/prices";
const LIST: &str = "prefix,price,name\n+1,0.01,North America\n1201,0.02,\n60,0.05,Malaysia\n";

/// Imports a list.
pub async fn import(api: &Api, list: &str) -> Answer {
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("{PRICES}?currency=EUR"))
        .header(header::CONTENT_TYPE, "text/csv")
        .body(Body::from(list.to_owned()));
    api.call(request.unwrap()).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_imported_list_is_the_current_version(pool: MySqlPool) {
    let api = Api::new(&pool).await.admin().await;
    let none = api.get(PRICES).await.body;
    assert_eq!(none["version"], Value::Null);
    let imported = import(&api, LIST).await;
    assert_eq!(imported.status, StatusCode::OK, "{}", imported.body);
    assert_eq!(imported.body["prices"], 3);
    let again = import(&api, "prefix,price\n44,0.000001\n").await.body;
    assert!(again["version"].as_u64() > imported.body["version"].as_u64());
    let octets = Request::put(format!("{PRICES}?currency=EUR"))
        .header("content-type", "application/octet-stream")
        .body(Body::from(LIST));
    let octets = api.call(octets.unwrap()).await;
    assert_eq!(octets.body["prices"], 3, "as generated clients send it");

    let shown = api.get(PRICES).await.body;
    assert_eq!(shown["currency"], "EUR");
    assert_eq!(
        shown["prices"],
        json!([
            {"prefix": "1", "price": "0.01", "name": "North America"},
            {"prefix": "1201", "price": "0.02", "name": null},
            {"prefix": "60", "price": "0.05", "name": "Malaysia"},
        ])
    );
    let page = api.get("/v1/prices?limit=2").await.body;
    assert_eq!(page["prices"].as_array().unwrap().len(), 2);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = api.get(&format!("/v1/prices?cursor={cursor}")).await.body;
    assert_eq!(
        (&rest["prices"][0]["prefix"], &rest["next_cursor"]),
        (&json!("60"), &Value::Null)
    );
    let csv = api.get("/v1/prices?format=csv").await.body;
    let csv = csv.as_str().unwrap();
    assert_eq!(csv, LIST.replace("+1,", "1,"));

    // Without rows, nothing has a price.
    import(&api, "prefix,price\n").await;
    assert_eq!(api.get(PRICES).await.body["prices"], json!([]));
    let entries = api.audit("&action=prices.import").await;
    assert_eq!(entries.len(), 4);
    assert_eq!(entries[0]["after"], json!({"currency": "EUR", "prices": 0}));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_wrong_list_is_refused_with_its_lines_and_changes_nothing(pool: MySqlPool) {
    let api = Api::new(&pool).await.admin().await;
    let refused = import(&api, "prefix,price\n60,0.05\n60,0.06\n61,-1\n").await;
    assert_eq!(refused.problem(), "invalid-request");
    let errors = refused.body["errors"].as_array().unwrap();
    let errors: Vec<_> = errors
        .iter()
        .map(|error| (error["position"].as_u64(), error["code"].as_str()))
        .collect();
    assert_eq!(
        errors,
        [
            (Some(3), Some("duplicate")),
            (Some(4), Some("not-an-amount"))
        ]
    );
    let no_currency = Request::builder()
        .method(Method::PUT)
        .uri(PRICES)
        .header(header::CONTENT_TYPE, "text/csv")
        .body(Body::from(LIST));
    let refused = api.call(no_currency.unwrap()).await;
    assert_eq!(refused.problem(), "invalid-request");
    let json = api
        .send("/v1/prices?currency=EUR", "application/json", "{}")
        .await;
    assert_eq!(json.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM price_lists").await, 0);
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM prices").await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_an_administrator_imports_prices(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let all = Permission::GRANTABLE;
    let key = api.with(&insert_key(&pool, &all, None).await);
    assert_eq!(import(&key, LIST).await.problem(), "forbidden");
    assert_eq!(key.get(PRICES).await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_and_a_schedule_show_the_cost_and_what_has_no_price(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let mut body = request();
    // Two parts each.
    body["message"] = json!("x".repeat(200));
    body["recipients"] = json!([
        "+12015550123",
        "+12015550124",
        "+60123456789",
        "+491701234567"
    ]);
    let dry = "/v1/schedules?dry_run=true";
    assert_eq!(api.post_json(dry, &body).await.body["cost"], Value::Null);
    import(&admin, LIST).await;
    let version = admin.get(PRICES).await.body["version"].clone();
    let report = api.post_json(dry, &body).await.body;
    let expected = json!({
        "currency": "EUR", "prices_version": version, "total": "0.18", "unpriced": 1, "more_destinations": 0,
        "destinations": [
            {"name": "Malaysia", "messages": 1, "parts": 2, "cost": "0.10"},
            {"name": "+1201", "messages": 2, "parts": 4, "cost": "0.08"},
        ],
    });
    assert_eq!(report["cost"], expected, "{report}");

    body["draft"] = json!(true);
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let id = created.id();
    // The duplicate costs nothing.
    let appended = api
        .append(id, "", "text/csv", "+60123456789\n+60123456780\n")
        .await;
    assert_eq!(appended.status, StatusCode::OK, "{}", appended.body);
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    let expected = json!({
        "currency": "EUR", "prices_version": version, "planned": "0.28", "planned_parts": 10, "planned_unpriced": 1,
        "spent": "0.00", "spent_parts": 0, "spent_unpriced_parts": 0,
    });
    assert_eq!(shown["cost"], expected, "{shown}");
    let report = api
        .post_json(&format!("/v1/schedules/{id}/dry-run"), &json!({}))
        .await
        .body;
    assert_eq!(report["cost"]["total"], "0.28", "{report}");
}
