//! The carrier's limit: kept by all passes together, learned from 429, and used by a lone batch.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use shared::platform::queue::BatchMessage;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, window};
use uuid::Uuid;

use crate::{cut, dispatch, three};

async fn execute(stage: &Stage, sql: &str) {
    sqlx::query(sql).execute(&stage.db).await.unwrap();
}

async fn configure(stage: &Stage, per_second: u32) {
    sqlx::query("UPDATE carrier_limits SET per_second = ? WHERE kind = 'submit'")
        .bind(per_second)
        .execute(&stage.db)
        .await
        .unwrap();
}

/// Blocks the carrier for a time, as after a `Retry-After`.
async fn block(stage: &Stage, time: Duration) {
    let until = stage.db.now() + time;
    sqlx::query(
        "UPDATE carrier_limits SET per_second = 1000, blocked_until_us = ? WHERE kind = 'submit'",
    )
    .bind(until.timestamp_micros())
    .execute(&stage.db)
    .await
    .unwrap();
}

/// Inserts and cuts a schedule. Returns its batches.
async fn cut_all(stage: &mut Stage, recipients: u32, batch_size: u32) -> Vec<BatchMessage> {
    stage.dispatcher.settings.batch_size = batch_size;
    let schedule = fixture::Schedule {
        recipients,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(stage, schedule).await;
    (1..=recipients.div_ceil(batch_size))
        .map(|batch_no| BatchMessage {
            schedule_id: schedule.schedule_id,
            batch_no,
        })
        .collect()
}

/// Sends batches at the same time. Returns how long it took.
async fn send_all(stage: &Stage, batches: &[BatchMessage]) -> Duration {
    let started = Instant::now();
    join_all(batches.iter().map(|&batch| stage.send(batch))).await;
    started.elapsed()
}

fn refused(stage: &Stage) -> u64 {
    stage.simulator.carrier().stats().refused.values().sum()
}

async fn accepted(stage: &Stage, id: Uuid) -> i64 {
    fixture::count(&stage.db, id, "ACCEPTD").await
}

fn capacity(parts: u32) -> Settings {
    Settings {
        capacity_parts: parts,
        latency_ms: 50,
        ..Settings::default()
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn small_batches_keep_a_configured_limit_together(pool: MySqlPool) {
    // Above the limit by more than one request, for the jitter of a busy machine.
    let mut stage = Stage::new(pool, capacity(130)).await;
    configure(&stage, 100).await;
    let batches = cut_all(&mut stage, 300, 30).await;
    let took = send_all(&stage, &batches).await;
    assert_eq!(accepted(&stage, batches[0].schedule_id).await, 300);
    assert_eq!(refused(&stage), 0);
    assert!(took > Duration::from_millis(2_500), "{took:?}");
    assert!(took < Duration::from_millis(4_500), "{took:?}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_lone_batch_gets_the_whole_limit(pool: MySqlPool) {
    let mut stage = Stage::new(pool, capacity(130)).await;
    // The limit is configured after the cut, which would make two batches of it.
    let batches = cut_all(&mut stage, 400, 400).await;
    configure(&stage, 100).await;
    let took = send_all(&stage, &batches).await;
    assert_eq!(accepted(&stage, batches[0].schedule_id).await, 400);
    assert_eq!(refused(&stage), 0);
    // Four seconds at the limit, of which the last request needs no slot after it.
    assert!(took < Duration::from_millis(4_600), "{took:?}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_limit_is_learned_from_429_and_nobody_is_lost(pool: MySqlPool) {
    let mut stage = Stage::new(pool, capacity(200)).await;
    let batches = cut_all(&mut stage, 1_600, 400).await;
    let took = send_all(&stage, &batches).await;
    let id = batches[0].schedule_id;
    assert_eq!(accepted(&stage, id).await, 1_600);
    let (refused, requests) = (refused(&stage), stage.simulator.carrier().stats().requests);
    assert!(
        // Six of the first eight requests are among them.
        refused > 0 && refused * 3 <= requests,
        "{refused} of {requests}"
    );
    assert!(took < Duration::from_secs(16), "{took:?}");
    println!("{refused} of {requests} requests refused, 1,600 parts in {took:?}");
    let learned: Option<f64> =
        sqlx::query_scalar("SELECT learned_per_second FROM carrier_limits WHERE kind = 'submit'")
            .fetch_one(&stage.db)
            .await
            .unwrap();
    assert!(
        learned.is_some_and(|learned| learned < 1_000.0),
        "{learned:?}"
    );
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_long_wait_for_the_limit_returns_the_batch_and_is_no_try(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    block(&stage, Duration::from_secs(30)).await;
    let started = Instant::now();
    stage.send(batch).await;
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    let tries: u32 = sqlx::query_scalar("SELECT tries FROM batches")
        .fetch_one(&stage.db)
        .await
        .unwrap();
    assert_eq!(tries, 0);
    let row = fixture::batch(&stage.db, batch).await;
    let due_in = row.send_at.unwrap() - stage.db.now();
    assert!(due_in > TimeDelta::seconds(25), "{due_in}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_opt_out_during_a_wait_for_the_limit_is_honored(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    block(&stage, Duration::from_secs(4)).await;
    let opt_out = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        crate::suppressions::opt_out(&stage.db, 2).await;
    };
    tokio::join!(stage.send(batch), opt_out);
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert_eq!(
        lines,
        ["1 ACCEPTD 1 0", "2 SUPPRESSED 0 0", "3 ACCEPTD 1 0"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_end_during_a_wait_for_the_limit_is_kept(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    block(&stage, Duration::from_secs(3)).await;
    sqlx::query("UPDATE schedules SET send_until = ?")
        .bind(stage.db.now() + TimeDelta::seconds(2))
        .execute(&stage.db)
        .await
        .unwrap();
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    let expired = fixture::count(&stage.db, batch.schedule_id, "EXPIRED").await;
    assert_eq!(expired, 3);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_window_that_closes_during_a_wait_for_the_limit_is_kept(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    let now = stage.db.now();
    let window = window::daily(now, -60..2);
    // Sent two seconds before the window closes.
    let wait = window.next_close(now).unwrap() - TimeDelta::seconds(2) - now;
    stage.db.clock.advance(wait.to_std().unwrap());
    let window = window::column(&window);
    sqlx::query("UPDATE schedules SET send_window = ?")
        .bind(window)
        .execute(&stage.db)
        .await
        .unwrap();
    block(&stage, Duration::from_secs(4)).await;
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    let pending = fixture::count(&stage.db, batch.schedule_id, "PENDING").await;
    assert_eq!(pending, 3);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_resend_that_meets_a_429_is_not_held_and_is_sent(pool: MySqlPool) {
    let settings = Settings {
        undeliv_first_attempts: 1,
        ..Settings::default()
    };
    let schedule = fixture::Schedule {
        max_lateness_s: 60,
        ..three()
    };
    let (stage, batch) = cut(pool, settings.clone(), schedule).await;
    let id = batch.schedule_id;
    stage.send(batch).await;
    stage.db.clock.advance(Duration::from_secs(60));
    stage.recheck(batch).await;
    assert_eq!(fixture::count(&stage.db, id, "UNDELIV").await, 3);
    let busy = Settings {
        busy_429: 1.0,
        retry_after_s: Some(30),
        ..settings.clone()
    };
    stage.simulator.carrier().set(busy).unwrap();
    stage.db.clock.advance(Duration::from_secs(120));
    stage.send(batch).await;
    assert_eq!(fixture::count(&stage.db, id, "PENDING").await, 3);
    stage.simulator.carrier().set(settings).unwrap();
    // An outage that would hold what was never sent.
    stage.db.clock.advance(Duration::from_secs(600));
    execute(&stage, "UPDATE batches SET missed_at = planned_at").await;
    stage.send(batch).await;
    assert_eq!(accepted(&stage, id).await, 3);
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 2));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_backlog_is_sent_and_an_outage_is_held(pool: MySqlPool) {
    for (progress_s, status) in [(10, "ACCEPTD"), (7_000, "PENDING")] {
        let schedule = fixture::Schedule {
            max_lateness_s: 60,
            ..three()
        };
        let (stage, batch) = cut(pool.clone(), Settings::default(), schedule).await;
        stage.db.clock.advance(Duration::from_secs(7_200));
        sqlx::query("UPDATE carriers SET progress_at = ?")
            .bind(stage.db.now() - TimeDelta::seconds(progress_s))
            .execute(&stage.db)
            .await
            .unwrap();
        stage.send(batch).await;
        let count = fixture::count(&stage.db, batch.schedule_id, status).await;
        assert_eq!(count, 3, "{progress_s} {status}");
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_outage_is_recorded_by_the_acceptance_that_ends_it(pool: MySqlPool) {
    let schedule = || fixture::Schedule {
        max_lateness_s: 600,
        ..three()
    };
    let (stage, batch) = cut(pool, Settings::default(), schedule()).await;
    stage.send(batch).await;
    // Two schedules are due in an outage of twenty minutes: one at its start, one at its end.
    let early = crate::cut_on(&stage, schedule()).await;
    stage.db.clock.advance(Duration::from_secs(1_200));
    let late = crate::cut_on(&stage, schedule()).await;
    stage.send(late).await;
    assert_eq!(accepted(&stage, late.schedule_id).await, 3);
    stage.send(early).await;
    let held = fixture::count(&stage.db, early.schedule_id, "PENDING").await;
    assert_eq!(held, 3);
    let recorded: (DateTime<Utc>, DateTime<Utc>) =
        sqlx::query_as("SELECT outage_from, outage_until FROM carriers")
            .fetch_one(&stage.db)
            .await
            .unwrap();
    let outage = (recorded.1 - recorded.0).num_seconds();
    assert!((1_190..=1_210).contains(&outage), "{outage}");
}
