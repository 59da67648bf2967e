//! Events of schedules, recorded by dispatch, send and recheck: each once, with the change that it
//! publishes.

use std::time::Duration;

use dispatch::DispatchedBy;
use serde_json::{Value, json};
use shared::schedule::lifecycle;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{fixture, webhooks};
use uuid::Uuid;

use crate::published::{ALL_EVENTS, Published};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_events_of_a_schedule_are_published_once_per_subscribed_webhook(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let (stage, db) = (&published.stage, &published.stage.db);
    let one = webhooks::insert(db, "http://127.0.0.1:9", "schedule.finished").await;
    let disabled = webhooks::insert(db, "http://127.0.0.1:9", ALL_EVENTS).await;
    sqlx::query("UPDATE webhooks SET disabled_at = created_at WHERE id = ?")
        .bind(disabled)
        .execute(db)
        .await
        .unwrap();
    let schedule = fixture::Schedule {
        recipients: 7,
        ..Default::default()
    };
    let message = schedule.insert(db).await;
    let dispatch = || stage.dispatcher.dispatch(message, DispatchedBy::Queue);
    let (first, second, third) = tokio::join!(dispatch(), dispatch(), dispatch());
    for result in [first, second, third, dispatch().await] {
        result.unwrap();
    }
    let events = published.events().await;
    assert_eq!(events, ["schedule.started"], "dispatched four times");
    stage.play().await;
    let finish = || lifecycle::finish(db, message.schedule_id);
    let (first, second) = tokio::join!(finish(), finish());
    for result in [first, second] {
        assert!(result.unwrap().is_none(), "it is finished already");
    }
    stage.dispatcher.sweep(|| true).await.unwrap();
    let expected = [
        "schedule.started",
        "messages.final",
        "messages.final",
        "schedule.finished",
    ];
    let events = published.events().await;
    assert_eq!(events, expected, "two batches, each rechecked once");
    assert_eq!(webhooks::events(db, one).await, ["schedule.finished"]);
    assert!(webhooks::events(db, disabled).await.is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn concurrent_finishes_publish_one_event(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let batch = published.cut(fixture::Schedule::default()).await;
    let db = &published.stage.db;
    sqlx::query("UPDATE batches SET send_at = NULL, sweep_at = NULL")
        .execute(db)
        .await
        .unwrap();
    let finish = || async {
        lifecycle::finish(db, batch.schedule_id)
            .await
            .unwrap()
            .is_some()
    };
    let (a, b, c, d) = tokio::join!(finish(), finish(), finish(), finish());
    assert_eq!(
        [a, b, c, d]
            .into_iter()
            .filter(|finished| *finished)
            .count(),
        1
    );
    assert_eq!(
        published.events().await,
        ["schedule.started", "schedule.finished"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_published_schedule_matches_its_rows(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let bodies = send_two(&published).await;
    assert_eq!(bodies.len(), 3);
    let started = &bodies[0];
    assert_eq!(started["type"], "schedule.started");
    assert_eq!(started["data"]["status"], "running");
    assert_eq!(started["data"]["recipients"], 2);
    assert!(
        started["data"].get("counts").is_none()
            && started["timestamp"].is_string()
            && started["data"]["run_at"].is_string()
    );
    let finished = &bodies[2];
    assert_eq!(finished["type"], "schedule.finished");
    assert_eq!(finished["data"]["status"], "finished");
    let counts = &finished["data"]["counts"];
    assert_eq!(
        (&counts["DELIVRD"], &counts["PENDING"]),
        (&json!(2), &json!(0))
    );
    let stored: Vec<String> =
        sqlx::query_scalar("SELECT data FROM webhook_deliveries WHERE data IS NOT NULL")
            .fetch_all(&published.stage.db)
            .await
            .unwrap();
    assert!(
        stored
            .iter()
            .all(|data| !data.contains("+60") && !data.contains("Hello")),
        "no number and no text: {stored:?}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_published_messages_match_their_rows(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let data = &send_two(&published).await[1]["data"];
    let schedule_id = data["schedule_id"].as_str().unwrap();
    let columns =
        "SELECT message_id, carrier_status FROM recipients WHERE schedule_id = ? ORDER BY seq";
    let rows: Vec<(String, String)> = sqlx::query_as(columns)
        .bind(schedule_id.parse::<Uuid>().unwrap())
        .fetch_all(&published.stage.db)
        .await
        .unwrap();
    let messages = data["messages"].as_array().unwrap();
    assert_eq!((messages.len(), rows.len()), (2, 2));
    for ((message, row), seq) in messages.iter().zip(&rows).zip(1..) {
        let (sent_at, final_at) = (&message["sent_at"], &message["final_at"]);
        assert!(sent_at.is_string() && final_at.is_string());
        let expected = json!({"seq": seq, "phone": fixture::phone(seq),
            "reference": (seq == 1).then_some("A-1"), "group": (seq == 1).then_some("Penang"), "status": "DELIVRD", "attempt": 1, "message_id": row.0,
            "carrier_status": row.1, "error": null, "sent_at": sent_at, "final_at": final_at});
        assert_eq!(*message, expected);
    }
}

/// Sends a schedule with two recipients, and returns the bodies of its events.
async fn send_two(published: &Published) -> Vec<Value> {
    let schedule = fixture::Schedule {
        recipients: 2,
        ..Default::default()
    };
    let batch = published.cut(schedule).await;
    let sql = "INSERT INTO recipient_references (schedule_id, seq, reference, group_name) VALUES (?, 1, 'A-1', 'Penang')";
    let insert = sqlx::query(sql).bind(batch.schedule_id);
    insert.execute(&published.stage.db).await.unwrap();
    published.stage.play().await;
    published.posted().await
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_missed_schedule_and_a_missed_batch_are_published(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    published
        .cut(fixture::Schedule {
            run_in_s: -4000,
            ..Default::default()
        })
        .await;
    assert_eq!(published.events().await, ["schedule.missed"]);
    let batch = published.cut(fixture::Schedule::default()).await;
    published.stage.db.clock.advance(Duration::from_secs(4000));
    published.stage.send(batch).await;
    assert_eq!(
        published.events().await,
        ["schedule.missed", "schedule.started", "schedule.missed"]
    );
    let last = published.posted().await.pop().unwrap();
    assert_eq!(
        (&last["data"]["status"], &last["data"]["counts"]["PENDING"]),
        (&json!("missed"), &json!(3))
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_pause_by_the_system_is_published_once_with_its_reason(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let batch = published.cut(fixture::Schedule::default()).await;
    let db = &published.stage.db;
    assert_eq!(
        lifecycle::pause(db, batch.schedule_id, "HTTP 401")
            .await
            .unwrap()
            .map(|deliveries| deliveries.len()),
        Some(1)
    );
    assert!(
        lifecycle::pause(db, batch.schedule_id, "HTTP 401")
            .await
            .unwrap()
            .is_none(),
        "it is not running any more"
    );
    assert_eq!(
        published.events().await,
        ["schedule.started", "schedule.paused"]
    );
    // The queue holds no message, as if the process had ended: the sweep finds the deliveries.
    published.stage.notify_queue.take();
    published.stage.dispatcher.sweep(|| true).await.unwrap();
    let paused = published
        .posted()
        .await
        .into_iter()
        .find(|body| body["type"] == "schedule.paused")
        .unwrap();
    assert_eq!(paused["data"]["reason"], "HTTP 401");
}
