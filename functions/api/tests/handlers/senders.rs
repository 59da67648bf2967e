//! Which senders a caller may choose: a registered one, one of its key, or any with the permission.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;

use crate::common::{Answer, Api, count, insert_key, phones, request};

async fn put(api: &Api, sender: &str, note: &Value) -> Answer {
    let request = Request::put(format!("/v1/senders/{sender}"))
        .header("content-type", "application/json")
        .body(Body::from(note.to_string()));
    api.call(request.unwrap()).await
}

async fn create(api: &Api, sender: &str) -> Answer {
    let mut body = request();
    body["recipients"] = json!(phones(0..1));
    body["sender"] = json!(sender);
    api.post_json("/v1/schedules", &body).await
}

/// Returns why the sender of a new schedule is refused; `None` if it is accepted.
async fn refusal(api: &Api, sender: &str) -> Option<String> {
    let answer = create(api, sender).await;
    if answer.status == StatusCode::CREATED {
        return None;
    }
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let error = &answer.body["errors"][0];
    assert_eq!(error["field"], "sender", "{error}");
    assert_eq!(error["code"], "sender-not-allowed", "{error}");
    error["detail"].as_str().map(str::to_owned)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_registered_senders_can_be_chosen_without_the_permission(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let operator = admin.user("olivia", "operator").await;
    assert_eq!(refusal(&admin, "Anything").await, None);
    let refused = refusal(&operator, "Acme").await.unwrap();
    assert!(refused.contains("GET /v1/senders"), "{refused}");

    let made = put(&admin, "Acme", &json!({"note": "parcels"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let again = put(&admin, "Acme", &json!({"note": "all shops"})).await;
    assert_eq!(
        (again.status, &again.body["note"]),
        (StatusCode::OK, &json!("all shops"))
    );
    assert_eq!(refusal(&operator, "Acme").await, None);
    let refused = refusal(&operator, "ACME").await.unwrap();
    assert!(refused.ends_with("did you mean `Acme`?"), "{refused}");

    // Without a sender, in a change, and in a schedule that sends again.
    let id = operator.schedule(&phones(0..1)).await;
    let answer = operator.patch(id, &json!({"sender": "Other"})).await;
    assert_eq!(answer.body["errors"][0]["code"], "sender-not-allowed");
    let answer = operator.patch(id, &json!({"sender": "Acme"})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let removed = Request::delete("/v1/senders/Acme").body(Body::empty());
    assert_eq!(
        admin.call(removed.unwrap()).await.status,
        StatusCode::NO_CONTENT
    );
    let answer = operator.patch(id, &json!({"rate": 7})).await;
    assert_eq!(answer.body["sender"], "Acme", "it keeps its sender");
    assert!(refusal(&operator, "Acme").await.is_some());
    let listed = operator.get("/v1/senders").await;
    assert_eq!(listed.body, json!({"senders": []}));
    let audited = "SELECT COUNT(*) FROM audit_log WHERE resource = 'sender:Acme'";
    assert_eq!(count(&pool, audited).await, 3);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_with_senders_of_its_own_can_choose_only_these(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    put(&admin, "Acme", &json!({})).await;
    let body = json!({"name": "shop", "permissions": ["schedules:read", "schedules:write", "senders:any"],
        "allowed_senders": ["Shop", "60123456789"]});
    let made = admin.post_json("/v1/api-keys", &body).await;
    assert_eq!(
        made.body["allowed_senders"],
        json!(["60123456789", "Shop"]),
        "{}",
        made.body
    );
    let shop = admin.with(&made.text("key"));
    assert_eq!(refusal(&shop, "Shop").await, None);
    let refused = refusal(&shop, "Acme").await.unwrap();
    assert!(refused.ends_with("60123456789,Shop"), "{refused}");

    let path = format!("/v1/api-keys/{}", made.id());
    let change = Request::patch(path)
        .header("content-type", "application/json")
        .body(Body::from(r#"{"allowed_senders": null}"#));
    let changed = admin.call(change.unwrap()).await;
    assert_eq!(changed.body["allowed_senders"], Value::Null);
    assert_eq!(refusal(&shop, "Anything").await, None, "senders:any");
    let key = insert_key(&pool, &[Permission::SchedulesWrite], None).await;
    let plain = admin.with(&key);
    assert!(refusal(&plain, "Shop").await.is_some());
    assert_eq!(refusal(&plain, "Acme").await, None);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_no_sender_is_not_registered(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    for sender in ["Twelve%20chars", "M%C3%BCller", "1234567890123456"] {
        let answer = put(&admin, sender, &json!({})).await;
        assert_eq!(answer.body["errors"][0]["code"], "not-a-sender", "{sender}");
    }
    for allowed in [json!([]), json!(["Twelve chars"])] {
        let body =
            json!({"name": "x", "permissions": ["schedules:read"], "allowed_senders": allowed});
        let answer = admin.post_json("/v1/api-keys", &body).await;
        assert_eq!(answer.body["errors"][0]["field"], "allowed_senders");
    }
    for sender in ["Nobody", "M%C3%BCller", "%26%C3%92"] {
        let path = format!("/v1/senders/{sender}");
        let none = admin.call(Request::delete(path).body(Body::empty()).unwrap());
        assert_eq!(none.await.status, StatusCode::NOT_FOUND, "{sender}");
    }
    let operator = admin.user("olivia", "operator").await;
    let answer = put(&operator, "Acme", &json!({})).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
