//! Dry runs: they report the outcome of a call and write nothing.

use crate::common::{Answer, Api, count, phones, request};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

/// Runs a dry run of a valid request with these fields replaced.
async fn dry_run(api: &Api, change: Value) -> Value {
    let mut body = request();
    body.as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    let answer = api.post_json("/v1/schedules?dry_run=true", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

/// 500 valid numbers, two duplicates and one invalid number.
fn list() -> Vec<Value> {
    let mut list: Vec<Value> = phones(0..500).into_iter().map(Value::from).collect();
    list.extend([
        json!("+1 201 200 0000"),
        json!("0123"),
        json!({"phone": "+12012000001"}),
    ]);
    list
}

/// Checks that no row and no message was written.
async fn assert_nothing_written(api: &Api, pool: &MySqlPool) {
    let rows = "SELECT (SELECT COUNT(*) FROM schedules) + (SELECT COUNT(*) FROM recipients) + (SELECT COUNT(*) FROM audit_log)";
    assert_eq!(count(pool, rows).await, 0);
    assert!(
        api.fakes.created.lock().unwrap().is_empty() && api.fakes.queued.lock().unwrap().is_empty()
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_reports_the_outcome_and_writes_nothing(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let report = dry_run(&api, json!({"recipients": list(), "rate": 100})).await;
    for (name, expected) in [
        ("dry_run", json!(true)),
        ("accepted", json!(false)),
        ("valid", json!(500)),
        ("duplicates", json!(2)),
        ("invalid_count", json!(1)),
        ("encoding", json!("GSM-7")),
        ("forced_by", Value::Null),
        ("parts", json!(1)),
        ("parts_total", json!(500)),
        ("requests", json!(5)),
        ("duration_s", json!(5.0)),
        ("limited_by", json!("rate")),
    ] {
        assert_eq!(report[name], expected, "{name}: {report}");
    }
    assert_eq!(
        (
            &report["invalid"][0]["position"],
            &report["invalid"][0]["code"]
        ),
        (&json!(501), &json!("no-country-code"))
    );
    assert_nothing_written(&api, &pool).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_reports_skipped_entries_and_accepts_drafts(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let skipped = dry_run(&api, json!({"recipients": list(), "on_invalid": "skip", "message": format!("{}ж", "a".repeat(80))})).await;
    assert_eq!(
        (
            &skipped["accepted"],
            &skipped["encoding"],
            &skipped["forced_by"]
        ),
        (&json!(true), &json!("UCS-2"), &json!("ж"))
    );
    assert_eq!(
        (
            &skipped["parts"],
            &skipped["parts_total"],
            &skipped["limited_by"]
        ),
        (&json!(2), &json!(1_000), &json!("requests"))
    );
    let national = dry_run(
        &api,
        json!({"recipients": ["0123"], "default_country": "MY"}),
    )
    .await;
    assert_eq!(national["invalid"][0]["code"], "too-short");
    let draft = dry_run(&api, json!({"draft": true})).await;
    assert_eq!(
        (&draft["accepted"], &draft["valid"]),
        (&json!(true), &json!(0))
    );
    assert_nothing_written(&api, &pool).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_refuses_what_the_call_would_refuse(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let good = json!({"recipients": phones(0..1)});
    #[rustfmt::skip]
    let table = [
        (json!({"message": ""}), "message", "empty"),
        (json!({"recipients": [{"phone": "+12012000001", "x": 1}]}), "recipients.x", "unknown-field"),
        (json!({"default_country": "Malaysia"}), "default_country", "not-a-country"),
        (json!({"default_country": 60}), "default_country", "wrong-type"),
        (json!({"recipients": "x"}), "recipients", "wrong-type"),
    ];
    for (change, field, code) in table {
        let mut body = request();
        body.as_object_mut()
            .unwrap()
            .extend(good.as_object().unwrap().clone());
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        for path in [
            "/v1/schedules",
            "/v1/schedules?dry_run=true",
            "/v1/schedules?dry_run=false",
        ] {
            let answer = api.post_json(path, &body).await;
            assert_eq!(
                answer.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{path} {change}"
            );
            assert_eq!(
                (
                    &answer.body["errors"][0]["field"],
                    &answer.body["errors"][0]["code"]
                ),
                (&json!(field), &json!(code))
            );
        }
    }
    let odd = api.post_json("/v1/schedules?dry_run=1", &request()).await;
    assert_eq!(odd.body["errors"][0]["code"], "not-a-choice");
}

const LIST: &str = "name,mobile\nA,0060123456780\nB,nonsense\n\nC,0123\nD,+12012000001\n";

/// Creates a schedule with a national and an international number, and appends [`LIST`].
async fn append_national_numbers(api: &Api) -> (Uuid, Answer) {
    let mut body = request();
    body["recipients"] = json!(["012-345 6789", "+12012000001"]);
    body["default_country"] = json!("MY");
    let id = api.post(&body).await.id();
    let query = "?on_invalid=skip&default_country=my&column=Mobile";
    let appended = api.append(id, query, "text/csv", LIST).await;
    assert_eq!(appended.status, StatusCode::OK, "{}", appended.body);
    (id, appended)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn national_numbers_are_read_in_the_default_country(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (id, appended) = append_national_numbers(&api).await;
    assert_eq!(
        (
            &appended.body["accepted"],
            &appended.body["duplicates"],
            &appended.body["invalid_count"]
        ),
        (&json!(1), &json!(1), &json!(2))
    );
    let all = api
        .get(&format!("/v1/schedules/{id}/recipients"))
        .await
        .body;
    let phones: Vec<_> = all["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["phone"].clone())
        .collect();
    assert_eq!(
        phones,
        [
            json!("+60123456789"),
            json!("+12012000001"),
            json!("+60123456780"),
            Value::Null,
            Value::Null
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn refused_lines_are_listed_with_their_reason(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (id, _) = append_national_numbers(&api).await;
    let refused = api
        .get(&format!("/v1/schedules/{id}/recipients?status=INVALID"))
        .await
        .body;
    let lines: Vec<_> = refused["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["position"], &row["input"], &row["error"]))
        .collect();
    assert_eq!(
        lines,
        [
            (&json!(3), &json!("nonsense"), &json!("not-a-number")),
            (&json!(5), &json!("0123"), &json!("too-short"))
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_invalid_country_or_column_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&[]).await;
    for (query, field, code) in [
        ("?default_country=XX", "default_country", "not-a-country"),
        ("?column=", "column", "not-a-column"),
        ("?column=0", "column", "not-a-column"),
        ("?column=phone", "recipients", "no-phone-column"),
    ] {
        let answer = api.append(id, query, "text/csv", LIST).await;
        assert_eq!(
            (
                &answer.body["errors"][0]["field"],
                &answer.body["errors"][0]["code"]
            ),
            (&json!(field), &json!(code)),
            "{query}"
        );
    }
}
