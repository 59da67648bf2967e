//! Messages with variables: missing variables are reported before anything is sent, and parts are
//! counted per rendered text.

use crate::common::{Api, count, in_seconds, phones, request};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// A valid request with this message and these recipients.
fn with_variables(message: &str, recipients: &Value) -> Value {
    let mut body = request();
    body["run_at"] = json!(in_seconds(3_600));
    (body["message"], body["recipients"]) = (json!(message), recipients.clone());
    body
}

/// Three recipients, of which only the first has the variable `name`.
fn incomplete() -> Value {
    json!([{"phone": "+12012000001", "vars": {"name": "Ana"}}, {"phone": "+12012000002", "vars": {"nam": "Bo"}}, "+12012000003"])
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_missing_variable_is_reported_before_anything_is_sent(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let body = with_variables("Dear {{name}}", &incomplete());
    let refused = api.post_json("/v1/schedules", &body).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = refused.body["errors"].as_array().unwrap();
    let positions: Vec<_> = errors
        .iter()
        .map(|error| (&error["position"], &error["code"]))
        .collect();
    assert_eq!(
        positions,
        [
            (&json!(1), &json!("missing-variable")),
            (&json!(2), &json!("missing-variable"))
        ]
    );
    assert!(
        errors[0]["detail"].as_str().unwrap().contains("`name`"),
        "{errors:?}"
    );
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn recipients_without_a_variable_are_stored_as_invalid_under_skip(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = with_variables("Dear {{name}}", &incomplete());
    body["on_invalid"] = json!("skip");
    let created = api.post(&body).await;
    assert_eq!(
        (
            &created.body["recipients"]["total"],
            &created.body["recipients"]["invalid"]
        ),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        (&created.body["variables"], &created.body["encoding"]),
        (&json!(["name"]), &Value::Null)
    );
    let rows = api
        .get(&format!(
            "/v1/schedules/{}/recipients?status=INVALID",
            created.id()
        ))
        .await
        .body;
    assert_eq!(
        (
            &rows["recipients"][0]["input"],
            &rows["recipients"][0]["error"]
        ),
        (&json!("+12012000002"), &json!("missing-variable"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_invalid_placeholder_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let list = json!([{"phone": "+12012000001", "vars": {"name": "Ana"}}]);
    for (message, code) in [
        ("{{na me}}", "bad-variable"),
        ("{{true}}", "bad-variable"),
        ("{{name}} {{", "bad-variable"),
    ] {
        let answer = api
            .post_json("/v1/schedules", &with_variables(message, &list))
            .await;
        assert_eq!(
            (
                &answer.body["errors"][0]["field"],
                &answer.body["errors"][0]["code"]
            ),
            (&json!("message"), &json!(code)),
            "{message}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_longest_text_sets_the_parts_and_messages_show_the_rendered_text(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let long = "x".repeat(200);
    let list = json!([{"phone": "+12012000001", "vars": {"name": "Ana"}}, {"phone": "+12012000002", "vars": {"NAME": long}},
        {"phone": "+12012000001", "vars": {"name": "Another"}}]);
    let created = api.post(&with_variables("Dear {{name}}", &list)).await;
    let id = created.id();
    assert_eq!(
        (
            &created.body["parts"],
            &created.body["recipients"]["duplicates"]
        ),
        (&json!(2), &json!(1))
    );
    let csv = "phone,name\n+12012000003,Bo\n+12012000004,\n";
    let refused = api.append(id, "", "text/csv", csv).await;
    assert_eq!(
        (
            &refused.body["errors"][0]["position"],
            &refused.body["errors"][0]["code"]
        ),
        (&json!(3), &json!("missing-variable"))
    );
    let appended = api.append(id, "?on_invalid=skip", "text/csv", csv).await;
    assert_eq!(
        (&appended.body["accepted"], &appended.body["invalid_count"]),
        (&json!(1), &json!(1)),
        "{}",
        appended.body
    );
    let page = api
        .get(&format!("/v1/messages?schedule_id={id}"))
        .await
        .body;
    let texts: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["text"].clone())
        .collect();
    assert_eq!(
        texts,
        [
            json!("Dear Ana"),
            json!(format!("Dear {long}")),
            json!("Dear Bo")
        ],
        "a duplicate keeps the variables of its first entry"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_new_message_needs_variables_for_each_recipient(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let list = json!([{"phone": "+12012000001", "vars": {"name": "Ana", "sum": 5}}, {"phone": "+12012000002", "vars": {"name": "Bo"}}, "+12012000003"]);
    let id = api.post(&with_variables("Hello", &list)).await.id();
    let path = format!("/v1/schedules/{id}");
    let refused = api
        .patch(id, &json!({"message": "{{name}}: {{sum}}"}))
        .await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.body
    );
    let error = &refused.body["errors"][0];
    assert_eq!(
        (&error["field"], &error["code"]),
        (&json!("message"), &json!("missing-variable"))
    );
    let detail = error["detail"].as_str().unwrap();
    assert!(
        detail.contains("for 2 of the recipients; the first has seq 2") && detail.contains("`sum`"),
        "{detail}"
    );
    assert_eq!(api.get(&path).await.body["message"], "Hello");
    let message = format!("{{{{name|default('you')}}}}{}", "x".repeat(159));
    let changed = api.patch(id, &json!({"message": message})).await;
    assert_eq!(
        (changed.status, &changed.body["parts"]),
        (StatusCode::OK, &json!(2)),
        "{}",
        changed.body
    );
    let plain = api.patch(id, &json!({"message": "Hello again"})).await;
    assert_eq!(
        (&plain.body["parts"], &plain.body["variables"]),
        (&json!(1), &json!([]))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_counts_parts_and_requests_per_rendered_text(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    // 300 numbers that take turns with three texts, and one number with a text of two parts.
    let group = |at: usize| ["a", "b", "c"][at % 3];
    let mut list: Vec<Value> = phones(0..300)
        .into_iter()
        .enumerate()
        .map(|(at, phone)| json!({"phone": phone, "vars": {"v": group(at)}}))
        .collect();
    list.push(json!({"phone": "+12019999999", "vars": {"v": "x".repeat(161)}}));
    let report = api
        .post_json(
            "/v1/schedules?dry_run=true",
            &with_variables("{{v}}", &json!(list)),
        )
        .await
        .body;
    for (name, expected) in [
        ("valid", 301),
        ("requests", 4),
        ("parts", 2),
        ("parts_total", 302),
        ("duplicates", 0),
        ("invalid_count", 0),
    ] {
        assert_eq!(report[name], json!(expected), "{name}: {report}");
    }
    assert_eq!(
        (&report["encoding"], &report["forced_by"]),
        (&json!("GSM-7"), &Value::Null)
    );
    let longest = json!({"phone": "+12019999999", "text": "x".repeat(161), "encoding": "GSM-7", "forced_by": null, "units": 161, "parts": 2});
    assert_eq!(report["longest"], longest);
    assert_eq!(
        count(&pool, "SELECT COUNT(*) FROM recipient_variables").await,
        0
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_names_what_forces_ucs_2_in_a_text_with_variables(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let list = json!([{"phone": "+12012000001", "vars": {"v": "Ana"}}, {"phone": "+12012000002", "vars": {"v": "Łucja"}}]);
    for (message, encoding, forced_by, longest) in [
        ("It’s {{v}}", "UCS-2", json!("’"), (10, json!("’"))),
        ("It is {{v}}", "GSM-7", Value::Null, (11, json!("Ł"))),
    ] {
        let report = api
            .post_json(
                "/v1/schedules?dry_run=true",
                &with_variables(message, &list),
            )
            .await
            .body;
        assert_eq!(report["encoding"], encoding, "{report}");
        assert_eq!(report["forced_by"], forced_by, "{report}");
        let (units, forced_by) = longest;
        let text = message.replace("{{v}}", "Łucja");
        let expected = json!({"phone": "+12012000002", "text": text, "encoding": "UCS-2", "forced_by": forced_by, "units": units, "parts": 1});
        assert_eq!(report["longest"], expected);
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn variables_are_accepted_for_schedules_only(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let body = json!([{"phone": "+12012000001", "vars": {"name": "Ana"}}]);
    let answer = api.post_json("/v1/suppressions/import", &body).await;
    assert_eq!(
        (
            &answer.body["errors"][0]["field"],
            &answer.body["errors"][0]["code"]
        ),
        (&json!("recipients.vars"), &json!("unknown-field"))
    );
}
