//! Numbers as people have them: in national notations, without a plus sign, and of any kind.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Api, request};

/// Creates a draft with these fields.
async fn draft(api: &Api, fields: &Value) -> Uuid {
    let mut body = request();
    body["draft"] = json!(true);
    body["recipients"] = Value::Null;
    let fields = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    created.id()
}

/// Returns the phone numbers of a schedule, in the order of the list.
async fn numbers(api: &Api, id: Uuid) -> Vec<String> {
    let path = format!("/v1/schedules/{id}/recipients?status=PENDING");
    let page = api.get(&path).await.body;
    let recipients = page["recipients"].as_array().unwrap();
    let phone = |recipient: &Value| recipient["phone"].as_str().unwrap().to_owned();
    recipients.iter().map(phone).collect()
}

/// Returns position, code and suggestion of each of the entries.
fn reasons(entries: &Value) -> Vec<(u64, &str, Option<&str>)> {
    entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["position"].as_u64().unwrap(),
                entry["code"].as_str().unwrap(),
                entry.get("suggestion").map(|phone| phone.as_str().unwrap()),
            )
        })
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_messy_file_is_accepted_and_its_damaged_rows_are_listed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(
        &api,
        &json!({"default_country": "MY", "on_invalid": "skip"}),
    )
    .await;
    let file = "sep=;\r\nName;Nomor Telefon;\r\nA;'0123456780;\r\nB;60123456781;\r\nC;6012-345 6782;\r\nD;60123456783.0;\r\n\
                E;\u{202a}+60 12\u{2011}345\u{202f}6784\u{202c};\r\nF;6.01235E+10;\r\nG;6581234567;\r\n;;\r\n;;\r\n";
    let answer = api.append(id, "", "text/csv", file).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(
        reasons(&answer.body["invalid"]),
        [
            (8, "digits-lost", None),
            (9, "not-valid-for-country", Some("+6581234567"))
        ]
    );
    let expected: Vec<_> = (0..5).map(|n| format!("+6012345678{n}")).collect();
    assert_eq!(numbers(&api, id).await, expected);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refused_list_suggests_numbers(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["recipients"] = json!(["60123456789", "0123456789", "+60123456789"]);
    let answer = api.post_json("/v1/schedules", &body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = &answer.body["errors"];
    assert_eq!(
        reasons(errors),
        [
            (0, "no-country-code", Some("+60123456789")),
            (1, "no-country-code", None)
        ]
    );
    for (at, advice) in [(0, "plus sign missing?"), (1, "give default_country")] {
        let detail = errors[at]["detail"].as_str().unwrap();
        assert!(detail.contains(advice), "{detail}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_draft_remembers_that_only_mobile_numbers_are_accepted(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &json!({"types": "mobile", "on_invalid": "skip"})).await;
    let list = "+60123456789\n+60323856789\n+6564321234\n+12015550123\n";
    let mobile = api.append(id, "", "text/csv", list).await;
    assert_eq!(
        reasons(&mobile.body["invalid"]),
        [(2, "not-mobile", None), (3, "not-mobile", None)]
    );
    assert_eq!(numbers(&api, id).await, ["+60123456789", "+12015550123"]);
    // Read in another way, it is another list.
    let any = api.append(id, "?types=any", "text/csv", list).await;
    assert_eq!(
        (
            &any.body["accepted"],
            &any.body["invalid_count"],
            &any.body["repeated"]
        ),
        (&json!(2), &json!(0), &json!(false))
    );
    let again = api.append(id, "", "text/csv", list).await;
    assert_eq!(
        (&again.body["call"], &again.body["repeated"]),
        (&mobile.body["call"], &json!(true))
    );
    let stored = api
        .get(&format!("/v1/schedules/{id}/recipients?status=INVALID"))
        .await
        .body;
    let errors: Vec<_> = stored["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["error"])
        .collect();
    assert_eq!(errors, ["not-mobile", "not-mobile"]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_schedule_of_mobile_numbers_refuses_others(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["recipients"] = json!(["+60123456789", "+60323856789"]);
    for (types, status) in [
        (json!("mobile"), StatusCode::UNPROCESSABLE_ENTITY),
        (json!("any"), StatusCode::CREATED),
        (Value::Null, StatusCode::CREATED),
        (json!("landline"), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        body["types"] = types;
        let answer = api.post_json("/v1/schedules", &body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    body["types"] = json!("mobile");
    let answer = api.post_json("/v1/schedules?dry_run=true", &body).await;
    assert_eq!(
        (&answer.body["accepted"], reasons(&answer.body["invalid"])),
        (&json!(false), vec![(1, "not-mobile", None)])
    );
    let id = draft(&api, &json!({})).await;
    let wrong = api
        .append(id, "?types=landline", "text/csv", "+60123456789")
        .await;
    assert_eq!(
        (
            &wrong.body["errors"][0]["field"],
            &wrong.body["errors"][0]["code"]
        ),
        (&json!("types"), &json!("not-a-choice"))
    );
}
