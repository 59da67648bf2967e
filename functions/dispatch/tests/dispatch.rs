//! Dispatch against a real database: each way in, run twice, at once, crashed between the cut and the queue, and the sweep.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use shared::batch::claim;
use std::{collections::HashSet, time::Duration};

use chrono::TimeDelta;
use dispatch::{DispatchedBy, Trigger};
use shared::{
    batch::claim::Claim,
    platform::{
        budget::Budget,
        queue::{BatchMessage, DispatchMessage},
    },
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture};

async fn stage(pool: MySqlPool) -> Stage {
    Stage::new(pool, Settings::default()).await
}

async fn sweep(stage: &Stage) {
    stage.dispatcher.sweep(|| true).await.unwrap();
}

async fn dispatched_by(stage: &Stage, schedule: DispatchMessage) -> Option<String> {
    let way = sqlx::query_scalar("SELECT dispatched_by FROM schedules WHERE id = ?")
        .bind(schedule.schedule_id);
    way.fetch_one(&stage.db.pool).await.unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_is_cut_into_batches_that_wait_on_the_queue(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        run_in_s: 60,
        recipients: 12,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(schedule, DispatchedBy::EventBridge)
        .await
        .unwrap();
    let messages = stage.send_queue.take();
    assert_eq!(messages.len(), 3, "five, five and two");
    assert!(
        messages.iter().all(|message| message.delay_s == 59),
        "sixty seconds, 0.8 s early: {messages:?}"
    );
    assert!(
        messages
            .iter()
            .all(|message| message.group == schedule.schedule_id.to_string())
    );
    let last = fixture::batch(
        &stage.db,
        BatchMessage {
            schedule_id: schedule.schedule_id,
            batch_no: 3,
        },
    )
    .await;
    assert_eq!(last.range, (11, 12));
    assert!(
        last.sweep_at.unwrap() - last.send_at.unwrap() == TimeDelta::seconds(120),
        "{last:?}"
    );
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "running"
    );
    assert_eq!(
        dispatched_by(&stage, schedule).await.as_deref(),
        Some("eventbridge")
    );
    fixture::assert_counts(&stage.db, schedule.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn run_twice_and_at_once_it_cuts_once(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    let dispatch = || async {
        stage
            .dispatcher
            .dispatch(schedule, DispatchedBy::Queue)
            .await
            .unwrap()
    };
    tokio::join!(dispatch(), dispatch(), dispatch());
    dispatch().await;
    assert_eq!(stage.send_queue.take().len(), 1);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_not_to_be_cut_is_left_alone(pool: MySqlPool) {
    let stage = stage(pool).await;
    let later = fixture::Schedule {
        run_in_s: 110,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let draft = fixture::Schedule {
        status: "draft",
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let moved = DispatchMessage {
        version: 0,
        ..fixture::Schedule::default().insert(&stage.db).await
    };
    let gone = DispatchMessage {
        schedule_id: uuid::Uuid::now_v7(),
        version: 1,
    };
    for schedule in [later, draft, moved, gone] {
        stage
            .dispatcher
            .dispatch(schedule, DispatchedBy::Queue)
            .await
            .unwrap();
    }
    assert!(stage.send_queue.take().is_empty());
    assert_eq!(
        fixture::status(&stage.db, later.schedule_id).await,
        "scheduled"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_finds_what_the_queue_refused_or_lost(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 15,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage.send_queue.refuse([1]);
    stage
        .dispatcher
        .dispatch(schedule, DispatchedBy::Queue)
        .await
        .unwrap();
    stage.send_queue.refuse([]);
    let taken: Vec<_> = stage
        .send_queue
        .take_batches()
        .iter()
        .map(|batch| batch.batch_no)
        .collect();
    assert_eq!(taken, [1, 3]);
    sweep(&stage).await;
    assert_eq!(
        stage
            .send_queue
            .take_batches()
            .iter()
            .map(|batch| batch.batch_no)
            .collect::<Vec<_>>(),
        [2],
        "refused: due at once"
    );
    sweep(&stage).await;
    assert!(stage.send_queue.take().is_empty(), "the sweep is patient");
    // All three messages are lost: a purge.
    stage.db.clock.advance(Duration::from_secs(121));
    sweep(&stage).await;
    assert_eq!(stage.send_queue.take().len(), 3);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_cuts_what_nobody_dispatched_ahead_of_its_time(pool: MySqlPool) {
    let stage = stage(pool).await;
    let soon = fixture::Schedule {
        run_in_s: 60,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let later = fixture::Schedule {
        run_in_s: 80,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    sweep(&stage).await;
    assert_eq!(stage.send_queue.take().len(), 1);
    assert_eq!(dispatched_by(&stage, soon).await.as_deref(), Some("sweep"));
    assert_eq!(
        dispatched_by(&stage, later).await,
        None,
        "that is EventBridge's"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_takes_up_the_batch_of_a_dead_owner(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    stage
        .dispatcher
        .dispatch(schedule, DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    let now = stage.db.now();
    let lease = Budget::new(INVOCATION).lease_until(now, TimeDelta::seconds(10));
    assert!(
        claim::claim_to_send(&stage.db, &Claim::new(batch, now, lease))
            .await
            .unwrap()
    );
    stage.db.clock.advance(Duration::from_secs(70));
    sweep(&stage).await;
    assert!(
        stage.send_queue.take().is_empty(),
        "its lease has just ended, the sweep waits five seconds more"
    );
    stage.db.clock.advance(Duration::from_secs(6));
    sweep(&stage).await;
    assert_eq!(stage.send_queue.take_batches(), [batch]);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_backlog_is_not_enqueued_again_and_again(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 50,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(schedule, DispatchedBy::Queue)
        .await
        .unwrap();
    let mut most = 0;
    for _ in 0..120 {
        stage.db.clock.advance(Duration::from_secs(60));
        sweep(&stage).await;
        most = most.max(
            shared::platform::queue::Queue::backlog(&*stage.send_queue)
                .await
                .unwrap(),
        );
    }
    assert!(
        most <= 20,
        "ten batches that nobody works off became {most} messages in two hours"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_rate_spreads_the_batches_and_the_sweep_enqueues_them_in_time(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 500,
        rate: Some(2),
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(schedule, DispatchedBy::Queue)
        .await
        .unwrap();
    let numbers = || {
        stage
            .send_queue
            .take_batches()
            .into_iter()
            .map(|batch| batch.batch_no)
    };
    let mut enqueued: HashSet<_> = numbers().collect();
    assert_eq!(
        enqueued.len(),
        46,
        "two seconds' worth each, ninety seconds ahead"
    );
    for _ in 0..3 {
        stage.db.clock.advance(Duration::from_secs(60));
        sweep(&stage).await;
        enqueued.extend(numbers());
    }
    assert_eq!(enqueued.len(), 125);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_found_too_late_is_missed_and_waits_for_a_person(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        run_in_s: -3700,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    sweep(&stage).await;
    stage.play().await;
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "missed"
    );
    assert_eq!(
        fixture::recipients(&stage.db, schedule.schedule_id).await[0],
        "1 PENDING 0 0"
    );
    sweep(&stage).await;
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "missed",
        "a second sweep has nothing to do"
    );
    assert_eq!(stage.simulator.carrier().accepted(), 0);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_cancelled_before_its_cut_has_its_recipients_closed(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        status: "cancelled",
        run_in_s: 9000,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(schedule, DispatchedBy::Queue)
        .await
        .unwrap();
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "CANCELLED").await,
        3
    );
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "cancelled"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_without_recipients_finishes_at_once(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 0,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(schedule, DispatchedBy::Queue)
        .await
        .unwrap();
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "finished"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn one_schedule_that_cannot_be_cut_does_not_stop_the_sweep(pool: MySqlPool) {
    let stage = stage(pool).await;
    let bad = fixture::Schedule::default().insert(&stage.db).await;
    // A batch that is there already makes the cut fail.
    let insert = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at) VALUES (?, 1, 1, 3, '2030-01-01')";
    sqlx::query(insert)
        .bind(bad.schedule_id)
        .execute(&stage.db.pool)
        .await
        .unwrap();
    fixture::Schedule::default().insert(&stage.db).await;
    assert!(
        stage.dispatcher.sweep(|| true).await.is_err(),
        "the alarm hears of it"
    );
    assert_eq!(stage.send_queue.take().len(), 1);
}

#[test]
fn every_trigger_is_told_apart() {
    let read = |json: &str| serde_json::from_str::<Trigger>(json);
    let id = "0197f3b4-7a52-7000-8000-000000000000";
    assert!(matches!(
        read(r#"{"sweep":true}"#),
        Ok(Trigger::Sweep { .. })
    ));
    assert!(matches!(
        read(&format!(r#"{{"schedule_id":"{id}","version":3}}"#)),
        Ok(Trigger::OneTime(DispatchMessage { version: 3, .. }))
    ));
    assert!(matches!(read(r#"{"Records":[]}"#), Ok(Trigger::Queue(_))));
    for wrong in [
        "{}",
        "[]",
        r#"{"schedule_id":"x","version":1}"#,
        r#"{"version":1}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_malformed_message_fails_alone(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    let event = serde_json::json!({"Records": [
        {"messageId": "bad", "body": "{\"schedule_id\":1}"},
        {"messageId": "good", "body": serde_json::to_string(&schedule).unwrap()},
        {"messageId": "empty"},
    ]});
    let trigger = serde_json::from_value(event).unwrap();
    let response = stage
        .dispatcher
        .handle(trigger, Budget::new(INVOCATION))
        .await
        .unwrap();
    let failed: Vec<_> = response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect();
    assert_eq!(failed, ["bad", "empty"]);
    assert_eq!(stage.send_queue.take().len(), 1);
}
