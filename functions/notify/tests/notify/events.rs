//! What is told of schedules, by dispatch, send and recheck: each event once, with the change that it tells.

use shared::schedule::lifecycle;
use std::time::Duration;

use dispatch::DispatchedBy;
use serde_json::json;
use shared::{
    batch::{release::PassResult, worker::Work},
    platform::{budget::Budget, queue::BatchMessage},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture, webhooks};

use crate::told::{EVERYTHING, Told};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_life_of_a_schedule_is_told_once_to_each_webhook_that_wants_it(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let db = &told.stage.db;
    let one = webhooks::insert(db, "http://127.0.0.1:9", "schedule.finished").await;
    let disabled = webhooks::insert(db, "http://127.0.0.1:9", EVERYTHING).await;
    sqlx::query("UPDATE webhooks SET disabled_at = created_at WHERE id = ?")
        .bind(disabled)
        .execute(&db.pool)
        .await
        .unwrap();
    let message = fixture::Schedule {
        recipients: 7,
        ..Default::default()
    }
    .insert(db)
    .await;
    let dispatch = || async {
        told.stage
            .dispatcher
            .dispatch(message, DispatchedBy::Queue)
            .await
            .unwrap()
    };
    tokio::join!(dispatch(), dispatch(), dispatch());
    dispatch().await;
    assert_eq!(
        told.events().await,
        ["schedule.started"],
        "dispatched four times"
    );
    told.stage.play().await;
    let finish = || async { lifecycle::finish(db, message.schedule_id).await.unwrap() };
    let (first, second) = tokio::join!(finish(), finish());
    assert!(
        first.is_none() && second.is_none(),
        "it is finished already"
    );
    told.stage.dispatcher.sweep(|| true).await.unwrap();
    let expected = [
        "schedule.started",
        "messages.final",
        "messages.final",
        "schedule.finished",
    ];
    assert_eq!(
        told.events().await,
        expected,
        "two batches, each rechecked once"
    );
    assert_eq!(webhooks::events(db, one).await, ["schedule.finished"]);
    assert!(webhooks::events(db, disabled).await.is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn of_many_that_finish_a_schedule_one_tells(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule::default()).await;
    let db = &told.stage.db;
    sqlx::query("UPDATE batches SET send_at = NULL, sweep_at = NULL")
        .execute(&db.pool)
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
        told.events().await,
        ["schedule.started", "schedule.finished"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_told_is_what_the_rows_say(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told
        .cut(fixture::Schedule {
            recipients: 2,
            ..Default::default()
        })
        .await;
    told.stage.play().await;
    let bodies = told.posted().await;
    let started = &bodies[0];
    assert_eq!(
        (
            &started["type"],
            &started["data"]["status"],
            &started["data"]["recipients"]
        ),
        (&json!("schedule.started"), &json!("running"), &json!(2))
    );
    assert!(
        started["data"].get("counts").is_none()
            && started["timestamp"].is_string()
            && started["data"]["run_at"].is_string()
    );
    let columns =
        "SELECT message_id, carrier_status FROM recipients WHERE schedule_id = ? ORDER BY seq";
    let rows: Vec<(String, String)> = sqlx::query_as(columns)
        .bind(batch.schedule_id)
        .fetch_all(&told.stage.db.pool)
        .await
        .unwrap();
    let messages: Vec<_> = bodies[1]["data"]["messages"].as_array().unwrap().clone();
    for ((message, row), seq) in messages.iter().zip(&rows).zip(1..) {
        let (sent_at, final_at) = (&message["sent_at"], &message["final_at"]);
        assert!(sent_at.is_string() && final_at.is_string());
        let expected = json!({"seq": seq, "phone": fixture::phone(seq), "status": "DELIVRD", "attempt": 1, "message_id": row.0,
            "carrier_status": row.1, "error": null, "sent_at": sent_at, "final_at": final_at});
        assert_eq!(*message, expected);
    }
    assert_eq!(
        (messages.len(), &bodies[1]["data"]["schedule_id"]),
        (2, &json!(batch.schedule_id))
    );
    let finished = &bodies[2];
    assert_eq!(
        (&finished["type"], &finished["data"]["status"]),
        (&json!("schedule.finished"), &json!("finished"))
    );
    assert_eq!(
        (
            &finished["data"]["counts"]["DELIVRD"],
            &finished["data"]["counts"]["PENDING"]
        ),
        (&json!(2), &json!(0))
    );
    assert_eq!(bodies.len(), 3);
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT data FROM webhook_deliveries WHERE data IS NOT NULL")
            .fetch_all(&told.stage.db.pool)
            .await
            .unwrap();
    assert!(
        kept.iter()
            .all(|data| !data.contains("+60") && !data.contains("Hello")),
        "no number and no text: {kept:?}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_missed_is_told_as_missed(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    told.cut(fixture::Schedule {
        run_in_s: -4000,
        ..Default::default()
    })
    .await;
    assert_eq!(told.events().await, ["schedule.missed"]);
    let batch = told.cut(fixture::Schedule::default()).await;
    told.stage.db.clock.advance(Duration::from_secs(4000));
    told.stage.send(batch).await;
    assert_eq!(
        told.events().await,
        ["schedule.missed", "schedule.started", "schedule.missed"]
    );
    let last = told.posted().await.pop().unwrap();
    assert_eq!(
        (&last["data"]["status"], &last["data"]["counts"]["PENDING"]),
        (&json!("missed"), &json!(3))
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_systems_own_pause_is_told_with_its_reason_and_once(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule::default()).await;
    let db = &told.stage.db;
    assert_eq!(
        lifecycle::pause(db, batch.schedule_id, "HTTP 401")
            .await
            .unwrap()
            .map(|told| told.len()),
        Some(1)
    );
    assert!(
        lifecycle::pause(db, batch.schedule_id, "HTTP 401")
            .await
            .unwrap()
            .is_none(),
        "it does not run any more"
    );
    assert_eq!(told.events().await, ["schedule.started", "schedule.paused"]);
    // Nothing of this is on the queue, as if the process had died: the sweep finds it.
    told.stage.notify_queue.take();
    told.stage.dispatcher.sweep(|| true).await.unwrap();
    let paused = told
        .posted()
        .await
        .into_iter()
        .find(|body| body["type"] == "schedule.paused")
        .unwrap();
    assert_eq!(paused["data"]["reason"], "HTTP 401");
}

/// A release, where nobody has a webhook: the statements are those of before there were webhooks, and no row is touched.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn who_has_no_webhook_pays_nothing_for_it(pool: MySqlPool) {
    let one = sqlx::mysql::MySqlPoolOptions::new().max_connections(1);
    let pool = one
        .connect_with((*pool.connect_options()).clone())
        .await
        .unwrap();
    let stage = Stage::new(pool, Settings::default()).await;
    let db = &stage.db;
    let message = fixture::Schedule {
        recipients: 10,
        ..Default::default()
    }
    .insert(db)
    .await;
    stage
        .dispatcher
        .dispatch(message, DispatchedBy::Queue)
        .await
        .unwrap();
    let statements = async |what: &str| {
        let sql = format!("SHOW SESSION STATUS WHERE Variable_name = '{what}'");
        let row: (String, String) = sqlx::query_as(&sql).fetch_one(&db.pool).await.unwrap();
        row.1.parse::<i64>().unwrap()
    };
    let mut spent = Vec::new();
    for batch_no in [1, 2] {
        let batch = BatchMessage {
            schedule_id: message.schedule_id,
            batch_no,
        };
        stage.send(batch).await;
        db.clock.advance(Duration::from_secs(6));
        let mut claimed = stage
            .rechecker
            .worker
            .claim(batch, Work::Check, Budget::new(INVOCATION))
            .await
            .unwrap()
            .unwrap();
        let sql = "UPDATE recipients SET status = 'DELIVRD', final_at = ? WHERE schedule_id = ? AND seq BETWEEN ? AND ?";
        let (first, last) = (claimed.batch.first_seq, claimed.batch.last_seq);
        let update = sqlx::query(sql)
            .bind(db.now())
            .bind(message.schedule_id)
            .bind(first)
            .bind(last);
        update.execute(&db.pool).await.unwrap();
        claimed.rows.clear();
        let before = (
            statements("Com_stmt_execute").await,
            statements("Com_begin").await,
        );
        stage
            .rechecker
            .worker
            .release(&claimed, PassResult::Checked)
            .await
            .unwrap();
        // One is the question itself.
        spent.push((
            statements("Com_stmt_execute").await - before.0 - 2,
            statements("Com_begin").await - before.1,
        ));
    }
    assert_eq!(spent[0], (2, 0), "release, and what it has set");
    assert_eq!(
        spent[1].1, 1,
        "the last one finishes the schedule, in a transaction"
    );
    assert_eq!(fixture::status(db, message.schedule_id).await, "finished");
    let marked: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM recipients WHERE final_event IS NOT NULL")
            .fetch_one(&db.pool)
            .await
            .unwrap();
    assert_eq!(marked, 0);
    assert!(stage.notify_queue.take().is_empty());
}
