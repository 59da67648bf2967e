//! Single recipients are found by their references, which change too.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    common::{Api, count, phones, request},
    recipient_changes::{cancel, change, send},
};

/// Creates a schedule whose second and third recipients have the same reference.
async fn referenced(api: &Api) -> Uuid {
    let mut body = request();
    let references = ["A-1", "a-2", "a-2", "A-2", "3"];
    let recipients = phones(0..5).into_iter().zip(references);
    body["recipients"] = recipients
        .map(|(phone, reference)| json!({"phone": phone, "reference": reference}))
        .collect();
    api.post(&body).await.id()
}

async fn names(api: &Api, id: Uuid) -> Value {
    let page = api
        .get(&format!("/v1/schedules/{id}/recipients"))
        .await
        .body;
    let recipients = page["recipients"].as_array().unwrap().iter();
    recipients
        .map(|row| json!([row["reference"], row["group"], row["status"]]))
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_recipient_is_found_by_its_reference(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = referenced(&api).await;
    let recipient = |address: &str| format!("/v1/schedules/{id}/recipients/{address}");
    let delete = async |address: &str| {
        let answer = send(&api, Method::DELETE, &recipient(address), &Value::Null).await;
        (answer.status.as_u16(), answer.body["seq"].clone())
    };
    assert_eq!(delete("a-1").await.0, 404, "the case counts");
    assert_eq!(delete("a-2").await.0, 409, "two have it");
    assert_eq!(delete("A-2").await, (200, json!(4)));
    // Digits are a place, unless the call says otherwise.
    assert_eq!(delete("3?by=reference").await, (200, json!(5)));
    assert_eq!(delete("3").await, (200, json!(3)));
    assert_eq!(delete("A-1?by=seq").await.0, 404);
    assert_eq!(delete("A-1?by=phone").await.0, 422);
    // Its double is cancelled, but is in the list still.
    assert_eq!(delete("a-2").await.0, 409);
    let body = json!({"recipients": [{"reference": "a-2"}, {"reference": "A-1"}, {"reference": "?"}, {"phone": phones(1..2)[0]}]});
    let path = format!("/v1/schedules/{id}/recipients/cancel");
    let answer = send(&api, Method::POST, &path, &body).await.body;
    let outcomes: Vec<_> = answer["recipients"].as_array().unwrap().iter().collect();
    assert_eq!(
        json!(
            outcomes
                .iter()
                .map(|row| &row["outcome"])
                .collect::<Vec<_>>()
        ),
        json!(["ambiguous", "cancelled", "not-found", "cancelled"])
    );
    assert_eq!(
        (
            &answer["ambiguous"],
            &answer["not_found"],
            &answer["in_time"]
        ),
        (&json!(1), &json!(1), &json!(2))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_reference_and_the_group_of_a_recipient_are_changed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = referenced(&api).await;
    let set = |seq, body| change(&api, id, seq, body);
    assert_eq!(
        set(1, json!({"group": " KL "})).await.status,
        StatusCode::OK
    );
    assert_eq!(
        set(2, json!({"reference": "B"})).await.status,
        StatusCode::OK
    );
    assert_eq!(
        set(3, json!({"reference": null})).await.status,
        StatusCode::OK
    );
    let both = json!({"recipients": [{"reference": "A-2", "set": {"reference": "C", "group": "KL"}}, {"reference": "3", "set": {"reference": ""}}]});
    let path = format!("/v1/schedules/{id}/recipients");
    let answer = send(&api, Method::PATCH, &path, &both).await;
    assert_eq!(answer.body["in_time"], 2, "{}", answer.body);
    let expected = json!([
        ["A-1", "KL", "PENDING"],
        ["B", null, "PENDING"],
        [null, null, "PENDING"],
        ["C", "KL", "PENDING"],
        [null, null, "PENDING"],
    ]);
    assert_eq!(names(&api, id).await, expected);
    let rows = "SELECT COUNT(*) FROM recipient_references";
    assert_eq!(count(&pool, rows).await, 3);
    for wrong in [json!("x".repeat(65)), json!("a\nb"), json!(7)] {
        let refused = set(1, json!({"reference": wrong})).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    cancel(&api, id, 1).await;
    let late = set(1, json!({"group": "Ipoh"})).await;
    assert_eq!(late.problem(), "recipient-too-late");
}
