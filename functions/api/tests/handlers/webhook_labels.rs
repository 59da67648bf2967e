//! Webhooks that get only events of schedules with certain labels.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::{Db, MIGRATOR};
use sqlx::MySqlPool;
use testkit::webhooks;
use uuid::Uuid;

use crate::common::{Api, count, phones, request, validation::assert_refused};

/// Creates a webhook for pauses of schedules with these labels.
async fn webhook(admin: &Api, labels: &Value) -> Uuid {
    let wanted =
        json!({"url": "https://example.com/", "events": ["schedule.paused"], "labels": labels});
    let made = admin.post_json("/v1/webhooks", &wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    made.id()
}

/// Creates a schedule with these labels, and pauses it.
async fn pause_one(api: &Api, labels: &[&str]) -> Uuid {
    let mut body = request();
    body["recipients"] = json!(phones(0..2));
    body["labels"] = json!(labels);
    let id = api.post(&body).await.id();
    assert_eq!(api.post_step(id, "pause").await.status, StatusCode::OK);
    id
}

async fn schedules(pool: &MySqlPool, webhook: Uuid) -> Vec<Uuid> {
    let sql = "SELECT schedule_id FROM webhook_deliveries WHERE webhook_id = ? ORDER BY event_id";
    sqlx::query_scalar(sql)
        .bind(webhook)
        .fetch_all(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_webhook_gets_events_of_schedules_with_any_of_its_labels(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let all = webhook(&admin, &Value::Null).await;
    let none = webhook(&admin, &json!([])).await;
    let two = webhook(&admin, &json!(["north", "Sale", "north"])).await;
    let west = webhook(&admin, &json!(["west"])).await;
    let north = pause_one(&admin, &["x", "north"]).await;
    let both = pause_one(&admin, &["north", "SALE"]).await;
    let other = pause_one(&admin, &["northern"]).await;
    let unlabelled = pause_one(&admin, &[]).await;
    let every = [north, both, other, unlabelled];
    for (webhook, expected) in [
        (all, every.as_slice()),
        (none, &every),
        (two, &[north, both]),
        (west, &[]),
    ] {
        assert_eq!(schedules(&pool, webhook).await, expected);
    }
    // A release that knows no labels reads only this column.
    let seen = "SELECT COUNT(*) FROM webhooks WHERE FIND_IN_SET('schedule.paused', events) > 0";
    assert_eq!(count(&pool, seen).await, 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_labels_of_a_webhook_can_be_changed(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = webhook(&admin, &json!(["north"])).await;
    let shown = admin.get(&format!("/v1/webhooks/{id}")).await;
    assert_eq!(shown.body["labels"], json!(["north"]));
    assert_eq!(shown.body["events"], json!(["schedule.paused"]));
    let changed = admin
        .patch_webhook(id, &json!({"labels": ["south", "west"]}))
        .await;
    assert_eq!(changed.body["labels"], json!(["south", "west"]));
    pause_one(&admin, &["north"]).await;
    let south = pause_one(&admin, &["south"]).await;
    // Another change leaves the labels as they are.
    admin.patch_webhook(id, &json!({"description": "x"})).await;
    let west = pause_one(&admin, &["west"]).await;
    let removed = admin.patch_webhook(id, &json!({"labels": null})).await;
    assert_eq!(removed.body["labels"], json!([]));
    let last = pause_one(&admin, &[]).await;
    assert_eq!(schedules(&pool, id).await, [south, west, last]);
    let entries = admin
        .audit(&format!("&resource=webhook:{id}&action=webhook.change"))
        .await;
    assert_eq!(
        (
            &entries[2]["before"]["labels"],
            &entries[2]["after"]["labels"]
        ),
        (&json!(["north"]), &json!(["south", "west"]))
    );
    assert_eq!(
        admin.delete_webhook(id).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM webhook_labels").await, 0);
    let db = Db::from_pool(pool.clone());
    assert!(webhooks::events(&db, id).await.is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn labels_of_webhooks_have_the_form_of_those_of_schedules(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let many: Vec<_> = (0..21).map(|n| n.to_string()).collect();
    let body = |labels: Value| json!({"url": "https://example.com/", "events": ["schedule.paused"], "labels": labels});
    #[rustfmt::skip]
    assert_refused(&admin, "POST", "/v1/webhooks", &[
        (body(json!("north")), &[("labels", "wrong-type")]),
        (body(json!([" north"])), &[("labels", "not-a-name")]),
        (body(json!(["x".repeat(65)])), &[("labels", "not-a-name")]),
        (body(json!(many)), &[("labels", "too-many")]),
    ]).await;
}
