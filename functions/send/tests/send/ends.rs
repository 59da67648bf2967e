//! `send_until` and `send_within_s`: what has not been sent by then ends EXPIRED, and is never sent.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::queue::BatchMessage;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, window};
use uuid::Uuid;

use crate::{cut, dispatch, set_names, three};

async fn set_end(stage: &Stage, id: Uuid, at: DateTime<Utc>) {
    sqlx::query("UPDATE schedules SET send_until = ? WHERE id = ?")
        .bind(at)
        .bind(id)
        .execute(&stage.db)
        .await
        .unwrap();
}

/// Asserts that nothing is sent or checked any more, and that the schedule finishes.
async fn assert_ended(stage: &Stage, batch: BatchMessage) {
    let accepted = stage.simulator.carrier().accepted();
    stage.db.clock.advance(Duration::from_secs(60));
    stage.dispatcher.sweep(|| true).await.unwrap();
    stage.play().await;
    assert_eq!(stage.simulator.carrier().accepted(), accepted);
    let row = fixture::batch(&stage.db, batch).await;
    assert!(row.send_at.is_none() && row.sweep_at.is_none(), "{row:?}");
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "finished"
    );
    fixture::assert_counts(&stage.db, batch.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_end_of_a_schedule_takes_effect_inside_a_batch(pool: MySqlPool) {
    // Five texts make five requests, two at a time: the last starts three seconds after the first.
    let settings = Settings {
        latency_ms: 1_500,
        ..Settings::default()
    };
    let mut stage = Stage::new(pool, settings).await;
    let schedule = fixture::Schedule {
        recipients: 5,
        message: "Good morning, {{name}}",
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let id = schedule.schedule_id;
    let names = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")];
    set_names(&stage.db, id, &names).await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    set_end(&stage, id, stage.db.now() + TimeDelta::seconds(2)).await;
    stage.sender.settings.in_flight = 2;
    stage.send(batch).await;
    let sent = stage.simulator.carrier().accepted() as i64;
    assert!((1..5).contains(&sent), "{sent}");
    let lines = fixture::recipients(&stage.db, id).await;
    let ended = lines.iter().filter(|line| line.ends_with("send-until"));
    assert_eq!(ended.count() as i64, 5 - sent, "{lines:?}");
    assert_eq!(fixture::count(&stage.db, id, "EXPIRED").await, 5 - sent);
    assert_ended(&stage, batch).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_claimed_after_the_end_expires(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    sqlx::query("UPDATE schedules SET send_within_s = 600")
        .execute(&stage.db)
        .await
        .unwrap();
    stage.db.clock.advance(Duration::from_secs(601));
    stage.send(batch).await;
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert_eq!(lines[0], "1 EXPIRED 0 0 send-until");
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    // A later end does not bring them back.
    set_end(
        &stage,
        batch.schedule_id,
        stage.db.now() + TimeDelta::hours(1),
    )
    .await;
    assert_ended(&stage, batch).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nothing_is_sent_again_after_the_end(pool: MySqlPool) {
    let settings = Settings {
        undeliv_first_attempts: 1,
        ..Settings::default()
    };
    let (stage, batch) = cut(pool, settings, three()).await;
    stage.send(batch).await;
    let id = batch.schedule_id;
    set_end(&stage, id, stage.db.now() + TimeDelta::seconds(10)).await;
    stage.play().await;
    assert_eq!(fixture::count(&stage.db, id, "UNDELIV").await, 3);
    assert_eq!(stage.simulator.carrier().accepted(), 3);
    assert_ended(&stage, batch).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_window_that_opens_after_the_end_expires_the_rest(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    let now = stage.db.now();
    // Open for one minute, two hours ago.
    let window = window::column(&window::daily(now, -120..-119));
    sqlx::query("UPDATE schedules SET send_window = ?")
        .bind(window)
        .execute(&stage.db)
        .await
        .unwrap();
    set_end(&stage, batch.schedule_id, now + TimeDelta::hours(3)).await;
    stage.send(batch).await;
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert_eq!(lines[2], "3 EXPIRED 0 0 send-until");
    assert_ended(&stage, batch).await;
}
