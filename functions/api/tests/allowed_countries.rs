//! The countries that an operator allows while the API runs. The run-time settings are those of a
//! process, so that this test has a binary of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "handlers/common/mod.rs"]
mod common;

use api::{App, routes::router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use common::{Api, request};
use serde_json::{Value, json};
use shared::{
    message::phone::AllowedCountries,
    platform::{
        db::MIGRATOR,
        run_time::{self, RunTimeValues},
    },
};
use sqlx::MySqlPool;

/// What `make settings SET=allowed_countries=…` has the API read.
fn set(countries: Option<&str>) {
    run_time::apply(RunTimeValues {
        allowed_countries: countries.map(str::to_owned),
        ..RunTimeValues::default()
    });
}

/// Posts a list with a number of each of four countries. Returns those that are refused.
async fn refused(api: &Api) -> Vec<Value> {
    let mut body = request();
    body["recipients"] = json!([
        "+60123456789",
        "+6581234567",
        "+12015550123",
        "+15062345678"
    ]);
    body["on_invalid"] = json!("skip");
    body["draft"] = json!(true);
    let answer = api.post_json("/v1/schedules", &body).await;
    let answer = match answer.status {
        StatusCode::CREATED => answer.body["invalid"].clone(),
        StatusCode::UNPROCESSABLE_ENTITY => answer.body["errors"].clone(),
        status => panic!("{status}: {}", answer.body),
    };
    let refused = answer.as_array().unwrap().iter();
    refused
        .filter(|entry| entry["code"] == "country-not-allowed")
        .map(|entry| entry["position"].clone())
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_numbers_of_the_countries_that_apply_now_are_accepted(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let app = App {
        countries: AllowedCountries::parse("MY,US").unwrap(),
        ..api.app.clone()
    };
    let api = Api {
        router: router(app),
        ..api
    };
    assert_eq!(refused(&api).await, [1, 3]);
    set(Some("SG,CA"));
    assert_eq!(refused(&api).await, [0, 2]);
    set(Some(""));
    assert_eq!(refused(&api).await, [0, 1, 2, 3]);
    set(Some("*"));
    assert!(refused(&api).await.is_empty());
    // The deployed countries apply while a country is unknown.
    set(Some("SG,XX"));
    assert_eq!(refused(&api).await, [1, 3]);

    set(Some("SG"));
    let draft = api.schedule(&[]).await;
    let list = "+60123456789\n+6581234567\n";
    let answer = api.append(draft, "", "text/csv", list).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.body["errors"][0]["code"], "country-not-allowed");
    let schedule = api.schedule(&["+6581234567".to_owned()]).await;
    let change = Request::patch(format!("/v1/schedules/{schedule}/recipients/1"))
        .header("content-type", "application/json")
        .body(Body::from(r#"{"phone": "+60123456789"}"#));
    let answer = api.call(change.unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.body["errors"][0]["code"], "country-not-allowed");
    // An opt-out is accepted from everywhere.
    let answer = api.send("/v1/suppressions/import", "text/csv", list).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    set(None);
    let answer = api.append(draft, "", "text/csv", "+12015550123\n").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}
