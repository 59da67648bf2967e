//! Suppressed numbers: added, shown, removed, imported, and counted by a dry run.

use crate::common::{Answer, Api, count, gzip, insert_key, phones, request, walk};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;

async fn put(api: &Api, phone: &str, body: &Value) -> Answer {
    let request = Request::put(format!("/v1/suppressions/{phone}"))
        .header("content-type", "application/json");
    api.call(request.body(Body::from(body.to_string())).unwrap())
        .await
}

async fn delete(api: &Api, phone: &str) -> Answer {
    api.call(
        Request::delete(format!("/v1/suppressions/{phone}?reason=asked%20for%20it"))
            .body(Body::empty())
            .unwrap(),
    )
    .await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_suppression_is_added_shown_and_removed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let path = "/v1/suppressions/+12012000000";
    assert_eq!(api.get(path).await.problem(), "not-found");
    let made = put(
        &api,
        "+12012000000",
        &json!({"reason": "STOP", "source": "sms"}),
    )
    .await;
    assert_eq!(
        (made.status, &made.body["reason"], &made.body["source"]),
        (StatusCode::CREATED, &json!("STOP"), &json!("sms"))
    );
    let again = put(&api, "%2B1%20(201)%20200-0000", &json!({})).await;
    assert_eq!(
        (again.status, &again.body["reason"], &again.body["source"]),
        (StatusCode::OK, &json!("STOP"), &json!("sms")),
        "the first reason is kept"
    );
    let note = &again.body["notes"][0];
    assert_eq!(
        (&note["reason"], &note["source"]),
        (&Value::Null, &json!("api"))
    );
    assert_eq!(api.get(path).await.body, again.body);
    assert_eq!(
        delete(&api, "+12012000000").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        delete(&api, "+12012000000").await.status,
        StatusCode::NOT_FOUND
    );
    let notes = count(&pool, "SELECT COUNT(*) FROM suppression_notes").await;
    assert_eq!(notes, 0);
    let log = api
        .admin()
        .await
        .audit("&resource=suppression:%2B12012000000")
        .await;
    assert_eq!(log[0]["after"], json!({"reason": "asked for it"}));
    let actions: Vec<_> = log
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["suppression.delete", "suppression.put", "suppression.put"]
    );
    let reader = api.with(&insert_key(&pool, &[Permission::SuppressionsRead], None).await);
    assert_eq!(
        put(&reader, "+12012000000", &json!({})).await.problem(),
        "forbidden"
    );
    assert_eq!(reader.get("/v1/suppressions").await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_opt_out_is_removed_with_a_reason_and_a_permission_of_its_own(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    put(&api, "+12012000000", &json!({})).await;
    for query in ["", "?reason=", "?reason=%20"] {
        let path = format!("/v1/suppressions/+12012000000{query}");
        let request = Request::delete(path).body(Body::empty()).unwrap();
        let refused = api.call(request).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert_eq!(refused.body["errors"][0]["field"], "reason");
    }
    let writer = api.with(&insert_key(&pool, &[Permission::SuppressionsWrite], None).await);
    let operator = api.admin().await.user("ana", "operator").await;
    for other in [&writer, &operator] {
        assert_eq!(
            put(other, "+12012000000", &json!({})).await.status,
            StatusCode::OK
        );
        assert_eq!(delete(other, "+12012000000").await.problem(), "forbidden");
    }
    let left = count(&pool, "SELECT COUNT(*) FROM suppressions").await;
    assert_eq!(left, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_imported_list_keeps_existing_numbers_and_reports_invalid_ones(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    put(&api, "+12012000001", &json!({})).await;
    let path = "/v1/suppressions/import?source=list-7&reason=old";
    let imported = api
        .send(
            path,
            "text/csv",
            "phone\n+12012000000\n+12012000001\nx\n+12012000000\n",
        )
        .await;
    assert_eq!(imported.status, StatusCode::OK, "{}", imported.body);
    assert_eq!(
        (
            &imported.body["added"],
            &imported.body["already"],
            &imported.body["invalid_count"]
        ),
        (&json!(1), &json!(2), &json!(1))
    );
    assert_eq!(imported.body["invalid"][0]["position"], 4);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_suppression_list_is_imported_and_paged(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let first = "/v1/suppressions/import?source=list-7";
    api.send(first, "text/csv", "+12012000000\n").await;
    put(&api, "+12012000001", &json!({})).await;
    let many = phones(0..25_000);
    let imported = api
        .send(
            "/v1/suppressions/import",
            "application/gzip",
            gzip(many.join("\n").as_bytes()),
        )
        .await;
    assert_eq!(
        (&imported.body["added"], &imported.body["already"]),
        (&json!(24_998), &json!(2)),
        "{}",
        imported.body
    );
    assert_eq!(
        count(&pool, "SELECT COUNT(*) FROM suppressions").await,
        25_000
    );
    let walked = walk(&api, "/v1/suppressions?limit=999", "suppressions", "phone").await;
    assert_eq!(
        walked,
        many.iter().map(|phone| json!(phone)).collect::<Vec<_>>()
    );
    assert_eq!(
        walk(
            &api,
            "/v1/suppressions?source=list-7",
            "suppressions",
            "phone"
        )
        .await,
        [json!("+12012000000")]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_counts_suppressed_numbers(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let suppressed = phones(0..10).join("\n");
    let imported = api
        .send("/v1/suppressions/import", "text/csv", suppressed)
        .await;
    assert_eq!(imported.body["added"], 10, "{}", imported.body);
    let mut body = request();
    body["recipients"] = json!(phones(0..20));
    let report = api
        .post_json("/v1/schedules?dry_run=true", &body)
        .await
        .body;
    assert_eq!(
        (
            &report["valid"],
            &report["suppressed"],
            &report["parts_total"]
        ),
        (&json!(20), &json!(10), &json!(10))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_suppression_field_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let good = "+12012000000";
    #[rustfmt::skip]
    let table = [
        (put(&api, "0123", &json!({})).await, "phone", "no-country-code"),
        (put(&api, "x", &json!({})).await, "phone", "not-a-number"),
        (put(&api, good, &json!({"reason": "r".repeat(256)})).await, "reason", "too-long"),
        (put(&api, good, &json!({"reason": 7})).await, "reason", "wrong-type"),
        (put(&api, good, &json!({"source": "Two Words"})).await, "source", "not-a-source"),
        (put(&api, good, &json!({"phone": good})).await, "phone", "unknown-field"),
        (delete(&api, "+1").await, "phone", "too-short"),
        (api.get("/v1/suppressions/abc").await, "phone", "not-a-number"),
        (api.get("/v1/suppressions?limit=0").await, "limit", "out-of-range"),
        (api.get("/v1/suppressions?cursor=x12").await, "cursor", "not-a-cursor"),
        (api.get("/v1/suppressions?source=%C3%BC").await, "source", "not-a-source"),
        (api.send("/v1/suppressions/import?source=A", "text/csv", good).await, "source", "not-a-source"),
        (api.send("/v1/suppressions/import?on_invalid=skip", "text/csv", good).await, "on_invalid", "unknown-field"),
        (api.send("/v1/suppressions/import", "application/json", format!("[{{\"phone\": \"{good}\", \"x\": 1}}]")).await, "recipients.x", "unknown-field"),
    ];
    for (at, (answer, field, code)) in table.iter().enumerate() {
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{at}: {}",
            answer.body
        );
        assert_eq!(
            (
                &answer.body["errors"][0]["field"],
                &answer.body["errors"][0]["code"]
            ),
            (&json!(field), &json!(code)),
            "{at}"
        );
    }
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM suppressions").await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_notes_of_a_number_are_bounded(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for n in 0..53 {
        put(
            &api,
            "+12012000000",
            &json!({"reason": format!("reason {n}")}),
        )
        .await;
    }
    let body = api.get("/v1/suppressions/+12012000000").await.body;
    assert_eq!(body["reason"], "reason 0");
    let notes = body["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 50);
    assert_eq!(notes[0]["reason"], "reason 52");
    assert_eq!(notes[49]["reason"], "reason 3");
}
