//! The rate of a schedule is kept at each request, however its batches were cut and whenever they
//! are claimed.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use shared::platform::queue::BatchMessage;
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
        .execute(&stage.db)
        .await
        .unwrap();
    let started = Instant::now();
    stage.send(batch).await;
    // Each request carries the recipients of a second.
    assert_eq!(stage.simulator.carrier().stats().requests, 5);
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

/// Returns how many messages were accepted in the busiest second.
fn most_in_a_second(stage: &Stage) -> usize {
    let mut times: Vec<_> = stage
        .simulator
        .carrier()
        .ledger()
        .iter()
        .map(|line| DateTime::parse_from_rfc3339(&line.time).unwrap().to_utc())
        .collect();
    times.sort_unstable();
    let in_second = |from: DateTime<Utc>| {
        let within = |at: &&DateTime<Utc>| (**at - from).num_milliseconds() < 1_000;
        times
            .iter()
            .filter(|at| **at >= from)
            .filter(within)
            .count()
    };
    times.iter().map(|from| in_second(*from)).max().unwrap_or(0)
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn batches_that_are_claimed_late_keep_the_rate_together(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule {
        recipients: 15,
        rate: Some(5),
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(&stage, schedule).await;
    // As after a pause, an outage or a late sweep, all batches are due at once.
    sqlx::query("UPDATE batches SET send_at = UTC_TIMESTAMP(), planned_at = UTC_TIMESTAMP()")
        .execute(&stage.db)
        .await
        .unwrap();
    let batches = sqlx::query_scalar::<_, u32>("SELECT batch_no FROM batches")
        .fetch_all(&stage.db)
        .await
        .unwrap();
    assert!(batches.len() > 1, "{batches:?}");
    let started = Instant::now();
    let sends = batches.iter().map(|&batch_no| {
        stage.send(BatchMessage {
            schedule_id: schedule.schedule_id,
            batch_no,
        })
    });
    join_all(sends).await;
    let accepted = fixture::count(&stage.db, schedule.schedule_id, "ACCEPTD").await;
    assert_eq!(accepted, 15);
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    let most = most_in_a_second(&stage);
    assert!(most <= 10, "{most} in one second");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_pass_far_ahead_of_its_rate_waits_outside(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule {
        rate: Some(1),
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    let free_at = (stage.db.now() + Duration::from_secs(60)).timestamp_micros();
    sqlx::query("UPDATE schedules SET rate_free_at_us = ?")
        .bind(free_at)
        .execute(&stage.db)
        .await
        .unwrap();
    let started = Instant::now();
    stage.send(batch).await;
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    let tries: u32 = sqlx::query_scalar("SELECT tries FROM batches WHERE batch_no = 1")
        .fetch_one(&stage.db)
        .await
        .unwrap();
    assert_eq!(tries, 0, "a pass that only waited is no try");
}
