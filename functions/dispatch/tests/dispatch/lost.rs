//! What the sweep does about messages that are lost, or only late.

use std::time::Duration;

use chrono::TimeDelta;
use dispatch::DispatchedBy;
use shared::{
    batch::claim::{self, Claim},
    platform::queue::{BatchMessage, Queue},
};
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{
    admission::{assert_turns, cut},
    dispatch, stage, sweep,
};

async fn sweep_at(stage: &Stage, batch: BatchMessage) -> chrono::DateTime<chrono::Utc> {
    fixture::batch(&stage.db, batch).await.sweep_at.unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn lost_messages_are_found_within_a_minute_and_slow_ones_are_not_duplicated(pool: MySqlPool) {
    let stage = stage(pool).await;
    cut(&stage, 8, "normal").await;
    for _ in 0..10 {
        stage.db.clock.advance(Duration::from_secs(60));
        sweep(&stage).await;
        assert_eq!(
            stage.send_queue.backlog().await.unwrap(),
            8,
            "the queue is slow"
        );
    }
    stage.send_queue.take();
    stage.db.clock.advance(Duration::from_secs(60));
    sweep(&stage).await;
    assert_eq!(stage.send_queue.take().len(), 8, "the queue was purged");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_that_is_just_late_is_left_alone(pool: MySqlPool) {
    let stage = stage(pool).await;
    cut(&stage, 1, "normal").await;
    stage.send_queue.take();
    stage.db.clock.advance(Duration::from_secs(9));
    sweep(&stage).await;
    assert!(stage.send_queue.take().is_empty());
    stage.db.clock.advance(Duration::from_secs(2));
    sweep(&stage).await;
    assert_eq!(stage.send_queue.take().len(), 1);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_alone_sends_everything_in_turn(pool: MySqlPool) {
    let stage = stage(pool).await;
    stage.send_queue.refuse(0..80);
    let schedule = cut(&stage, 30, "normal").await;
    stage.send_queue.refuse([]);
    let mut sent = 0;
    for _ in 0..40 {
        sweep(&stage).await;
        let batches = stage.send_queue.take_batches();
        sent += batches.len();
        for batch in batches {
            stage.send(batch).await;
        }
        // What a release has enqueued is lost.
        stage.send_queue.take();
        stage.db.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "PENDING").await,
        0
    );
    assert!(sent <= 30, "no batch was sent twice: {sent}");
    assert_turns(&stage).await;
    let numbers = stage.acceptances();
    assert!(numbers.iter().all(|(_, times)| *times == 1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn expired_leases_come_first(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = cut(&stage, 8, "normal").await;
    let batches = stage.send_queue.take_batches();
    let now = stage.db.now();
    let claim = Claim::new(batches[5], now, now + TimeDelta::seconds(60));
    assert!(claim::claim_to_send(&stage.db, &claim).await.unwrap());
    stage.db.clock.advance(Duration::from_secs(62));
    sweep(&stage).await;
    let found = stage.send_queue.take_batches();
    assert_eq!(found.len(), 8, "the queue is empty: the others are lost");
    assert_eq!(found[0], batches[5]);
    assert_eq!(found[0].schedule_id, schedule.schedule_id);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn batches_of_a_paused_schedule_are_written_once(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    let batch = stage.send_queue.take_batches()[0];
    sqlx::query("UPDATE schedules SET status = 'paused', paused_at = ?")
        .bind(stage.db.now())
        .execute(&stage.db)
        .await
        .unwrap();
    stage.db.clock.advance(Duration::from_secs(60));
    sweep(&stage).await;
    assert!(stage.send_queue.take().is_empty());
    let at = sweep_at(&stage, batch).await;
    assert!(
        at > stage.db.now() + TimeDelta::days(1000),
        "{at}: not before it is resumed"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_error_of_one_schedule_stops_no_other_step(pool: MySqlPool) {
    let stage = stage(pool).await;
    cut(&stage, 1, "normal").await;
    stage.send_queue.take();
    let bad = fixture::Schedule::default().insert(&stage.db).await;
    let insert = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at) VALUES (?, 1, 1, 3, '2030-01-01')";
    sqlx::query(insert)
        .bind(bad.schedule_id)
        .execute(&stage.db)
        .await
        .unwrap();
    stage.db.clock.advance(Duration::from_secs(60));
    assert!(stage.dispatcher.sweep(|| true).await.is_err());
    assert_eq!(
        stage.send_queue.take().len(),
        1,
        "the lost message was found"
    );
}
