//! What webhooks are told of the moves that people make: one event a move, none of a move that is refused.

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

const MOVES: &str = "schedule.paused,schedule.resumed,schedule.cancelled";

/// A webhook that wants to know of moves, and one that wants something else.
async fn insert(pool: &MySqlPool) -> (Uuid, Uuid) {
    let db = Db::from_pool(pool.clone());
    let moves = webhooks::insert(&db, "https://example.com/hook", MOVES).await;
    (
        moves,
        webhooks::insert(&db, "https://example.com/hook", "schedule.finished").await,
    )
}

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

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_move_is_told_once_and_a_refused_one_is_not(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (webhook, other) = insert(&pool).await;
    let uncut = api.schedule(&phones(0..3)).await;
    let cut = rows::cut(&api, &pool, 2).await;
    for id in [uncut, cut] {
        for (step, status) in [
            ("resume", StatusCode::CONFLICT),
            ("pause", StatusCode::OK),
            ("pause", StatusCode::CONFLICT),
            ("resume", StatusCode::OK),
            ("cancel", StatusCode::OK),
            ("cancel", StatusCode::CONFLICT),
        ] {
            assert_eq!(api.make(id, step).await.status, status, "{step}");
            assert_eq!(
                api.fakes.deliveries.take().len(),
                usize::from(status == StatusCode::OK),
                "{step} is put on its way"
            );
        }
    }
    let each = ["schedule.paused", "schedule.resumed", "schedule.cancelled"];
    let db = Db::from_pool(pool.clone());
    assert_eq!(webhooks::events(&db, webhook).await, [each, each].concat());
    assert!(webhooks::events(&db, other).await.is_empty());
    let told = data(&pool, webhook).await;
    let statuses: Vec<_> = told
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
        (&told[0]["schedule_id"], &told[3]["schedule_id"]),
        (&json!(uncut), &json!(cut))
    );
    assert_eq!(
        (
            &told[0]["reason"],
            &told[0]["recipients"],
            &told[0]["counts"]["PENDING"]
        ),
        (&Value::Null, &json!(3), &json!(3))
    );
    assert_eq!(
        told[5]["counts"]["PENDING"], 10,
        "as it was then: nobody has closed them yet"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_rolled_back_is_not_told(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (webhook, _) = insert(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    let mut transaction = pool.begin().await.unwrap();
    let told = record_event(
        &mut transaction,
        EventType::SchedulePaused,
        id,
        api.db.now(),
    )
    .await
    .unwrap();
    assert_eq!(told.len(), 1);
    transaction.rollback().await.unwrap();
    assert!(
        webhooks::events(&Db::from_pool(pool.clone()), webhook)
            .await
            .is_empty()
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_move_that_nobody_wants_to_know_of_tells_nobody(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    for step in ["pause", "resume", "cancel"] {
        assert_eq!(api.make(id, step).await.status, StatusCode::OK);
    }
    assert!(
        api.fakes.deliveries.take().is_empty() && api.fakes.sweeps.load(Ordering::Relaxed) == 0
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dead_letter_of_a_delivery_makes_it_due_unless_it_is_over(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (webhook, _) = insert(&pool).await;
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
        api.fakes.letters.put(&json!(letter));
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
