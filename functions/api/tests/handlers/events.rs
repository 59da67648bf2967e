//! Events of state changes: one event per change, none for a refused change.

use std::sync::atomic::Ordering;

use crate::common::{Api, phones, rows};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::{
    events::EventType,
    platform::{
        db::{Db, MIGRATOR},
        queue::DeliveryMessage,
    },
    schedule::event::record_event,
};
use sqlx::MySqlPool;
use testkit::webhooks;
use uuid::Uuid;

const STATE_CHANGES: &str = "schedule.paused,schedule.resumed,schedule.cancelled";

/// Inserts a webhook that subscribes to state changes, and one that subscribes to another event.
async fn insert_webhooks(pool: &MySqlPool) -> (Uuid, Uuid) {
    let db = Db::from_pool(pool.clone());
    let subscriber = webhooks::insert(&db, "https://example.com/hook", STATE_CHANGES).await;
    (
        subscriber,
        webhooks::insert(&db, "https://example.com/hook", "schedule.finished").await,
    )
}

/// Returns the event data of the deliveries of a webhook, oldest first.
async fn data(pool: &MySqlPool, webhook: Uuid) -> Vec<Value> {
    let sql = "SELECT data FROM webhook_deliveries WHERE webhook_id = ? ORDER BY event_id";
    let data: Vec<String> = sqlx::query_scalar(sql)
        .bind(webhook)
        .fetch_all(pool)
        .await
        .unwrap();
    data.iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// Pauses, resumes and cancels a schedule before its cut and one after it. Half of the calls are
/// refused or repeated.
async fn change_two_schedules(api: &Api, pool: &MySqlPool) -> [Uuid; 2] {
    let ids = [
        api.schedule(&phones(0..3)).await,
        rows::cut(api, pool, 2).await,
    ];
    for id in ids {
        for (step, status, deliveries) in [
            ("resume", StatusCode::CONFLICT, 0),
            ("pause", StatusCode::OK, 1),
            ("pause", StatusCode::OK, 0),
            ("resume", StatusCode::OK, 1),
            ("cancel", StatusCode::OK, 1),
            ("cancel", StatusCode::OK, 0),
            ("resume", StatusCode::CONFLICT, 0),
        ] {
            assert_eq!(api.post_step(id, step).await.status, status, "{step}");
            assert_eq!(api.fakes.deliveries.take().len(), deliveries, "{step}");
        }
    }
    ids
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_state_change_is_published_once_and_refused_ones_are_not(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (webhook, other) = insert_webhooks(&pool).await;
    change_two_schedules(&api, &pool).await;
    let each = ["schedule.paused", "schedule.resumed", "schedule.cancelled"];
    let db = Db::from_pool(pool.clone());
    assert_eq!(webhooks::events(&db, webhook).await, [each, each].concat());
    assert!(webhooks::events(&db, other).await.is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_event_shows_the_schedule_at_the_time_of_the_change(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (webhook, _) = insert_webhooks(&pool).await;
    let [uncut, cut] = change_two_schedules(&api, &pool).await;
    let events = data(&pool, webhook).await;
    let statuses: Vec<_> = events
        .iter()
        .map(|data| data["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        [
            "paused",
            "scheduled",
            "cancelled",
            "paused",
            "running",
            "cancelled"
        ]
    );
    assert_eq!(
        (&events[0]["schedule_id"], &events[3]["schedule_id"]),
        (&json!(uncut), &json!(cut))
    );
    assert_eq!(
        (
            &events[0]["reason"],
            &events[0]["recipients"],
            &events[0]["counts"]["PENDING"]
        ),
        (&Value::Null, &json!(3), &json!(3))
    );
    assert_eq!(
        events[5]["counts"]["PENDING"], 10,
        "the counts at the time of the event: the recipients were not closed yet"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_rolled_back_event_is_not_published(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (webhook, _) = insert_webhooks(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    let mut transaction = pool.begin().await.unwrap();
    let deliveries = record_event(
        &mut transaction,
        EventType::SchedulePaused,
        id,
        api.db.now(),
    )
    .await
    .unwrap();
    assert_eq!(deliveries.len(), 1);
    transaction.rollback().await.unwrap();
    assert!(
        webhooks::events(&Db::from_pool(pool.clone()), webhook)
            .await
            .is_empty()
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_state_change_without_subscribers_enqueues_nothing(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    for step in ["pause", "resume", "cancel"] {
        assert_eq!(api.post_step(id, step).await.status, StatusCode::OK);
    }
    assert!(
        api.fakes.deliveries.take().is_empty() && api.fakes.sweeps.load(Ordering::Relaxed) == 0
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn redriving_a_delivery_makes_it_due_unless_it_has_ended(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (webhook, _) = insert_webhooks(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    let mut letters = Vec::new();
    for _ in 0..2 {
        let mut connection = pool.acquire().await.unwrap();
        letters.extend(
            record_event(&mut connection, EventType::SchedulePaused, id, api.db.now())
                .await
                .unwrap(),
        );
    }
    let later = "UPDATE webhook_deliveries SET due_at = '2031-01-01', tries = 3 WHERE event_id = ?";
    sqlx::query(later)
        .bind(letters[0].event_id)
        .execute(&pool)
        .await
        .unwrap();
    let over =
        "UPDATE webhook_deliveries SET due_at = NULL, status = 'delivered' WHERE event_id = ?";
    sqlx::query(over)
        .bind(letters[1].event_id)
        .execute(&pool)
        .await
        .unwrap();
    letters.push(DeliveryMessage {
        webhook_id: webhook,
        event_id: Uuid::nil(),
    });
    for letter in &letters {
        api.fakes.send_dead_letters.put(&json!(letter));
    }
    let listed = api.get("/v1/attention/dead-letters").await.body;
    assert_eq!(listed["entries"][0]["names"], json!([letters[0]]));
    let done = api
        .post_json("/v1/attention/dead-letters/redrive", &json!({}))
        .await
        .body;
    assert_eq!((&done["changed"], &done["deleted"]), (&json!(1), &json!(3)));
    let sql = "SELECT COUNT(*) FROM webhook_deliveries WHERE event_id = ? AND due_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND";
    let due: i64 = sqlx::query_scalar(sql)
        .bind(letters[0].event_id)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(due, 1);
}
