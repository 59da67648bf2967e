//! Webhook deliveries in the API: tested, listed, repeated, and deleted with their webhook.

use crate::common::{
    Answer, Api, count,
    webhooks::{deliveries, event},
};
use axum::http::StatusCode;
use chrono::Utc;
use serde_json::{Value, json};
use shared::platform::{
    db::MIGRATOR,
    queue::{DeliveryMessage, read_body},
};
use sqlx::MySqlPool;
use uuid::Uuid;

/// Removes the enqueued deliveries from the queue, and checks that each has its webhook as group
/// and no delay.
fn enqueued(api: &Api) -> Vec<(Uuid, Uuid)> {
    let messages = api.fakes.deliveries.take().into_iter().map(|outgoing| {
        let DeliveryMessage {
            webhook_id,
            event_id,
        } = read_body(&outgoing.body).unwrap();
        assert_eq!(
            (outgoing.delay_s, outgoing.group),
            (0, webhook_id.to_string())
        );
        (webhook_id, event_id)
    });
    messages.collect()
}

/// Returns the deliveries of a webhook as lines: status, tries, and whether it is due.
async fn lines(pool: &MySqlPool, webhook: Uuid) -> Vec<String> {
    let sql = "SELECT CONCAT_WS(' ', status, tries, IF(due_at <= UTC_TIMESTAMP(3), 'due', IF(due_at IS NULL, 'over', 'later')))
        FROM webhook_deliveries WHERE webhook_id = ? ORDER BY event_id";
    sqlx::query_scalar(sql)
        .bind(webhook)
        .fetch_all(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_test_delivery_is_recorded_as_due_and_enqueued(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (id, other) = (admin.webhook().await, admin.webhook().await);
    let tried = admin.call_webhook(id, "test", Some("a")).await;
    assert_eq!(tried.status, StatusCode::ACCEPTED, "{}", tried.body);
    let event_id: Uuid = tried.text("event_id").parse().unwrap();
    let expected = json!({"event_id": event_id, "type": "webhook.test", "schedule_id": null, "status": "pending", "tries": 0,
        "due_at": tried.body["created_at"], "tried_at": null, "http_status": null, "error": null, "created_at": tried.body["created_at"]});
    assert_eq!(
        (&tried.body, enqueued(&admin)),
        (&expected, vec![(id, event_id)])
    );
    let data: String = sqlx::query_scalar("SELECT data FROM webhook_deliveries")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&data).unwrap(),
        json!({"webhook_id": id})
    );

    assert_eq!(
        admin.call_webhook(id, "test", Some("a")).await.body,
        tried.body,
        "the stored answer of the same request"
    );
    admin.fakes.deliveries.refuse([0]);
    assert_eq!(
        admin.call_webhook(id, "test", None).await.status,
        StatusCode::ACCEPTED,
        "the sweep finds it"
    );
    assert_eq!(
        (lines(&pool, id).await, enqueued(&admin)),
        (vec!["pending 0 due".to_owned(); 2], Vec::new())
    );
    assert!(lines(&pool, other).await.is_empty());
    assert_eq!(
        admin
            .audit(&format!("&resource=webhook:{id}&action=webhook.test"))
            .await
            .len(),
        2
    );
}

const STATUSES: [&str; 4] = ["delivered", "failed", "pending", "delivered"];

/// Repeats one delivery.
async fn repeat(admin: &Api, webhook: Uuid, event: &impl std::fmt::Display) -> Answer {
    let call = format!("deliveries/{event}/repeat");
    admin.call_webhook(webhook, &call, None).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_delivery_in_any_status_can_be_repeated_and_twice_counts_once(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (id, other) = (admin.webhook().await, admin.webhook().await);
    let now = Utc::now();
    let events = deliveries(&pool, id, now, &STATUSES).await;
    deliveries(&pool, other, now, &STATUSES).await;
    for event in &events[..3] {
        for _ in 0..2 {
            let repeated = repeat(&admin, id, event).await;
            assert_eq!(
                (repeated.status, &repeated.body["status"]),
                (StatusCode::ACCEPTED, &json!("pending")),
                "{}",
                repeated.body
            );
            assert_eq!(
                (&repeated.body["tries"], &repeated.body["http_status"]),
                (&json!(0), &json!(500)),
                "the last response is kept"
            );
        }
    }
    let due = "pending 0 due";
    assert_eq!(lines(&pool, id).await, [due, due, due, "delivered 3 over"]);
    let twice: Vec<_> = events[..3]
        .iter()
        .flat_map(|event| [(id, *event); 2])
        .collect();
    assert_eq!(enqueued(&admin), twice);
    assert_eq!(
        lines(&pool, other).await,
        [
            "delivered 3 over",
            "failed 3 over",
            "pending 3 later",
            "delivered 3 over"
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_repeat_is_audited_and_unknown_deliveries_are_not_found(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let events = deliveries(&pool, id, Utc::now(), &STATUSES).await;
    for event in &events[..3] {
        for _ in 0..2 {
            repeat(&admin, id, event).await;
        }
    }
    assert_eq!(enqueued(&admin).len(), 6);
    let log = admin
        .audit(&format!("&resource=webhook:{id}&action=webhook.repeat"))
        .await;
    assert_eq!(
        (
            log.len(),
            &log[5]["before"]["status"],
            &log[4]["before"]["status"]
        ),
        (6, &json!("delivered"), &json!("pending"))
    );
    for event in [Uuid::now_v7().to_string(), "x".to_owned()] {
        assert_eq!(repeat(&admin, id, &event).await.problem(), "not-found");
    }
    assert!(enqueued(&admin).is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_disabled_webhook_accepts_no_test_and_no_repeat(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let events = deliveries(&pool, id, Utc::now(), &["failed"]).await;
    admin.patch_webhook(id, &json!({"disabled": true})).await;
    for call in [
        "test".to_owned(),
        format!("deliveries/{}/repeat", events[0]),
        "deliveries/repeat-failed".to_owned(),
    ] {
        let refused = admin.call_webhook(id, &call, None).await;
        assert_eq!(
            (refused.status, refused.problem()),
            (StatusCode::CONFLICT, "webhook-disabled"),
            "{call}"
        );
    }
    assert_eq!(
        (lines(&pool, id).await, enqueued(&admin)),
        (vec!["failed 3 over".to_owned()], Vec::new())
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn failed_deliveries_are_repeated_in_parts_from_a_given_time(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    let now = Utc::now();
    let mut statuses = vec!["failed"; 250];
    statuses[20..25].copy_from_slice(&[
        "delivered",
        "pending",
        "delivered",
        "pending",
        "delivered",
    ]);
    let events = deliveries(&pool, id, now, &statuses).await;
    let from = (now - chrono::TimeDelta::minutes(239)).format("%FT%T%.3fZ");
    let repeat = format!("deliveries/repeat-failed?from={from}");
    let first = admin.call_webhook(id, &repeat, None).await;
    assert_eq!(
        (first.status, &first.body),
        (StatusCode::ACCEPTED, &json!({"changed": 200, "more": true}))
    );
    let enqueued_first = enqueued(&admin);
    assert_eq!(
        (enqueued_first.len(), enqueued_first[0]),
        (200, (id, event(now, 239))),
        "oldest first"
    );
    assert_eq!(
        admin.call_webhook(id, &repeat, None).await.body,
        json!({"changed": 35, "more": false})
    );
    assert_eq!(enqueued(&admin).last(), Some(&(id, events[249])));
    assert_eq!(
        admin.call_webhook(id, &repeat, None).await.body,
        json!({"changed": 0, "more": false}),
        "no failed delivery is left"
    );
    let lines = lines(&pool, id).await;
    let of = |line: &str| lines.iter().filter(|found| *found == line).count();
    assert_eq!(
        [
            of("failed 3 over"),
            of("delivered 3 over"),
            of("pending 3 later"),
            of("pending 0 due")
        ],
        [10, 3, 2, 235]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn without_a_time_all_failed_deliveries_are_repeated(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    deliveries(&pool, id, Utc::now(), &["failed"; 10]).await;
    assert_eq!(
        admin
            .call_webhook(id, "deliveries/repeat-failed", None)
            .await
            .body["changed"],
        10,
        "all failed deliveries"
    );
    let wrong = admin
        .call_webhook(id, "deliveries/repeat-failed?from=yesterday", None)
        .await;
    assert_eq!(wrong.body["errors"][0]["code"], "not-a-time");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn deleting_a_webhook_deletes_all_its_deliveries(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (id, other) = (admin.webhook().await, admin.webhook().await);
    let events = deliveries(&pool, id, Utc::now(), &vec!["pending"; 2_500]).await;
    deliveries(&pool, other, Utc::now(), &["pending"; 3]).await;
    assert_eq!(
        admin.delete_webhook(id).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        count(&pool, "SELECT COUNT(*) FROM webhook_deliveries").await,
        3,
        "the deliveries of the other webhook"
    );
    let repeated = admin
        .call_webhook(id, &format!("deliveries/{}/repeat", events[0]), None)
        .await;
    assert_eq!(repeated.problem(), "not-found");
    assert_eq!(
        admin
            .get(&format!("/v1/webhooks/{id}/deliveries"))
            .await
            .problem(),
        "not-found"
    );

    // The deletion of deliveries fails half-way: the webhook is deleted anyway, so the remaining
    // deliveries are neither posted nor repeated.
    let sql = "CREATE TRIGGER broken BEFORE DELETE ON webhook_deliveries FOR EACH ROW SIGNAL SQLSTATE '45000'";
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    assert_eq!(
        admin.delete_webhook(other).await.status,
        StatusCode::NO_CONTENT
    );
    let left = "SELECT COUNT(*) FROM webhook_deliveries d LEFT JOIN webhooks w ON w.id = d.webhook_id WHERE w.id IS NULL";
    assert_eq!(count(&pool, left).await, 3);
    assert_eq!(
        admin
            .call_webhook(other, "deliveries/repeat-failed", None)
            .await
            .problem(),
        "not-found"
    );
    assert!(enqueued(&admin).is_empty());
}
