//! A rate that was changed after the cut: a batch cut for a faster rate is not sent at once.

use std::time::{Duration, Instant};

use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{dispatch, five};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_cut_for_a_faster_rate_keeps_the_slower_rate(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = five().insert(&stage.db).await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    sqlx::query("UPDATE schedules SET rate = 1")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    let started = Instant::now();
    stage.send(batch).await;
    // Two, two and one recipients, each request two seconds after the one before.
    assert_eq!(stage.simulator.carrier().stats().requests, 3);
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        5
    );
    assert!(
        started.elapsed() >= Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_cut_for_its_rate_uses_all_requests_in_flight(pool: MySqlPool) {
    let stage = Stage::new(
        pool,
        Settings {
            latency_ms: 100,
            ..Settings::default()
        },
    )
    .await;
    let schedule = fixture::Schedule {
        recipients: 5,
        rate: Some(3),
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    // Requests of one number, so that there is more than one request.
    sqlx::query("UPDATE batches SET refusals = 2")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    stage.send(batch).await;
    let stats = stage.simulator.carrier().stats();
    assert_eq!((stats.requests, stats.in_flight_peak), (5, 2));
}
