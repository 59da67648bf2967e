//! The carrier's limits: shown with their origin, changed and audited.

use crate::common::{Answer, Api, insert_key, rows};
use api::routes::router;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use shared::{
    access::Permission,
    carrier::capacity::{Capacity, LimitKind},
    platform::db::MIGRATOR,
};
use sqlx::MySqlPool;

async fn patch(api: &Api, name: &str, body: &Value) -> Answer {
    let request = Request::patch(format!("/v1/carriers/{name}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()));
    api.call(request.unwrap()).await
}

async fn execute(pool: &MySqlPool, sql: &str) {
    sqlx::query(sql).execute(pool).await.unwrap();
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_limit_is_shown_with_its_origin(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut app = api.app.clone();
    app.capacity.submit.per_second = Some(500);
    let api = Api {
        router: router(app.clone()),
        app,
        ..api
    };
    execute(
        &pool,
        "UPDATE carrier_limits SET learned_per_second = 123.456 WHERE kind = 'query'",
    )
    .await;
    let shown = api.get("/v1/carriers/main").await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    assert_eq!(
        shown.body["parts_per_second"],
        json!({"configured": null, "default": 500, "learned": null, "effective": 500.0, "source": "deployment"})
    );
    assert_eq!(shown.body["requests_per_second"]["source"], "none");
    assert_eq!(
        shown.body["queries_per_second"],
        json!({"configured": null, "default": null, "learned": 123.46, "effective": 123.46, "source": "learned"})
    );
    let changed = patch(&api, "main", &json!({"parts_per_second": 1_000})).await;
    assert_eq!(
        changed.body["parts_per_second"],
        json!({"configured": 1_000, "default": 500, "learned": null, "effective": 1_000.0, "source": "api"})
    );
    let list = api.get("/v1/carriers").await.body;
    assert_eq!(list["carriers"], json!([changed.body]));
    let removed = patch(&api, "main", &json!({"parts_per_second": null})).await;
    assert_eq!(removed.body["parts_per_second"]["effective"], 500.0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_changed_limit_is_what_workers_read_and_is_audited(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let booked = (Utc::now() + TimeDelta::seconds(90)).timestamp_micros();
    execute(
        &pool,
        &format!("UPDATE carrier_limits SET free_at_us = {booked} WHERE kind = 'submit'"),
    )
    .await;
    assert!(
        api.get("/v1/carriers/main").await.body["submit"]["booked_ms"]
            .as_u64()
            .unwrap()
            > 80_000
    );
    let body = json!({"parts_per_second": 200, "requests_per_second": 4, "queries_per_second": 50});
    let changed = patch(&api, "main", &body).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    // What the old limit had booked ahead does not delay the new one.
    assert_eq!(changed.body["submit"]["booked_ms"], 0);
    let read = |kind, defaults| {
        let capacity = Capacity::new(api.db.clone(), kind, defaults);
        async move { capacity.read().await.unwrap() }
    };
    let submit = read(LimitKind::Submit, api.app.capacity.submit).await;
    assert_eq!(
        (submit.per_second(), submit.requests_per_second),
        (Some(200.0), Some(4.0))
    );
    let query = read(LimitKind::Query, api.app.capacity.query).await;
    assert_eq!(query.per_second(), Some(50.0));
    patch(&api, "main", &json!({"requests_per_second": null})).await;
    let logged = api.get("/v1/audit?resource=carrier:main").await.body["entries"].clone();
    assert_eq!(logged.as_array().unwrap().len(), 2);
    assert_eq!(logged[1]["action"], "carrier.change");
    assert_eq!(logged[1]["after"], body);
    assert_eq!(
        (&logged[0]["before"], &logged[0]["after"]),
        (
            &json!({"requests_per_second": 4}),
            &json!({"requests_per_second": null})
        )
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn use_outages_and_what_waits_are_shown(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let blocked = (Utc::now() + TimeDelta::seconds(30)).timestamp_micros();
    execute(
        &pool,
        &format!("UPDATE carrier_limits SET blocked_until_us = {blocked}, response_us = 80500 WHERE kind = 'submit'"),
    )
    .await;
    execute(
        &pool,
        "UPDATE carriers SET progress_at = '2026-01-01 01:00:05', outage_from = '2026-01-01 00:00:00',
           outage_until = '2026-01-01 01:00:00'",
    )
    .await;
    let id = rows::cut(&api, &pool, 3).await;
    rows::schedule(&pool, id, "parts = 2, priority = 'bulk'").await;
    for no in 1..=2 {
        rows::batch(
            &pool,
            id,
            no,
            "send_at = planned_at, sweep_at = planned_at, waiting = 1",
        )
        .await;
    }
    execute(
        &pool,
        "INSERT INTO turns (schedule_id, virtual_parts, ready_at, next_send_at)
         SELECT id, 0, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) FROM schedules",
    )
    .await;
    let shown = api.get("/v1/carriers/main").await.body;
    assert_eq!(shown["submit"]["response_ms"], 80);
    assert!(shown["submit"]["blocked_until"].is_string(), "{shown}");
    assert_eq!(shown["query"]["blocked_until"], Value::Null);
    assert_eq!(shown["last_accepted_at"], "2026-01-01T01:00:05Z");
    assert_eq!(
        shown["last_outage"],
        json!({"from": "2026-01-01T00:00:00Z", "until": "2026-01-01T01:00:00Z"})
    );
    assert_eq!(
        shown["waiting"],
        json!({"high": {"batches": 0, "parts": 0}, "normal": {"batches": 0, "parts": 0}, "bulk": {"batches": 2, "parts": 20}})
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn wrong_changes_of_a_carrier_are_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    #[rustfmt::skip]
    let table = [
        (json!({}), "", "nothing-to-change"),
        (json!({"parts_per_second": 0}), "parts_per_second", "out-of-range"),
        (json!({"requests_per_second": 1_000_001}), "requests_per_second", "out-of-range"),
        (json!({"queries_per_second": "many"}), "queries_per_second", "wrong-type"),
        (json!({"per_second": 5}), "per_second", "unknown-field"),
    ];
    for (body, field, code) in table {
        let answer = patch(&api, "main", &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let error = &answer.body["errors"][0];
        assert_eq!(
            (&error["field"], &error["code"]),
            (&json!(field), &json!(code))
        );
    }
    for answer in [
        api.get("/v1/carriers/other").await,
        patch(&api, "other", &json!({"parts_per_second": 5})).await,
    ] {
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::NOT_FOUND, "not-found")
        );
    }
    let reader = api.with(&insert_key(&pool, &[Permission::CarriersRead], None).await);
    assert_eq!(reader.get("/v1/carriers").await.status, StatusCode::OK);
    let refused = patch(&reader, "main", &json!({"parts_per_second": 5})).await;
    assert_eq!(
        (refused.status, &refused.body["permission"]),
        (StatusCode::FORBIDDEN, &json!("carriers:write"))
    );
    let nobody = api.with(&insert_key(&pool, &[Permission::SchedulesRead], None).await);
    assert_eq!(
        nobody.get("/v1/carriers").await.status,
        StatusCode::FORBIDDEN
    );
}
