//! The carrier's limit on status queries.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use shared::{carrier::capacity::LimitDefaults, platform::queue::BatchMessage};
use simulator::{Counting, Settings};
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::send_all;

/// A carrier that answers queries about messages that stay ENROUTE. Its bucket forgives the jitter of
/// a busy machine, and nothing else.
fn carrier(capacity_queries: u32) -> Settings {
    Settings {
        stuck: 1.0,
        capacity_queries,
        limit_counting: Counting::TokenBucket,
        ..Settings::default()
    }
}

fn schedule(recipients: u32) -> fixture::Schedule {
    fixture::Schedule {
        recipients,
        ..fixture::Schedule::default()
    }
}

async fn limited_stage(pool: MySqlPool, settings: Settings, per_second: u32) -> Stage {
    let mut stage = Stage::new(pool, settings).await;
    stage.rechecker.settings.limit = LimitDefaults {
        per_second: Some(per_second),
        requests_per_second: None,
    };
    stage
}

/// Returns in how many seconds the statuses of a batch are due to be asked for.
async fn next_check_s(stage: &Stage, batch: BatchMessage) -> i64 {
    let check_at: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT check_at FROM batches WHERE schedule_id = ? AND batch_no = ?")
            .bind(batch.schedule_id)
            .bind(batch.batch_no)
            .fetch_one(&stage.db)
            .await
            .unwrap();
    (check_at - stage.db.now()).num_seconds()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_configured_limit_is_kept_by_all_environments_together(pool: MySqlPool) {
    let stage = limited_stage(pool, carrier(30), 30).await;
    let batches = send_all(&stage, schedule(60)).await;
    assert_eq!(batches.len(), 12);
    stage.db.clock.advance(Duration::from_secs(5));
    let begun = Instant::now();
    join_all(batches.iter().map(|&batch| stage.recheck(batch))).await;
    let stats = stage.simulator.carrier().stats();
    assert_eq!(stats.status_refused, 0);
    let most = begun.elapsed().as_secs_f64() * 30.0 + 6.0;
    assert!(stats.status_queries >= 40, "{}", stats.status_queries);
    assert!(
        stats.status_queries as f64 <= most,
        "{}",
        stats.status_queries
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_small_schedule_is_not_delayed_behind_a_large_one(pool: MySqlPool) {
    let stage = limited_stage(pool, carrier(0), 20).await;
    let large = send_all(&stage, schedule(200)).await;
    let small = send_all(&stage, schedule(3)).await[0];
    stage.db.clock.advance(Duration::from_secs(5));
    let begun = Instant::now();
    let rest = join_all(large.iter().map(|&batch| stage.recheck(batch)));
    let first = async {
        // The large schedule has used the limit for some time.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let asked = Instant::now();
        stage.recheck(small).await;
        asked.elapsed()
    };
    let (_, waited) = tokio::join!(rest, first);
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert!(begun.elapsed() > Duration::from_secs(2));
    // 203 messages need about ten seconds; the delay after the first recheck is ten seconds, too.
    assert!((5..=10).contains(&next_check_s(&stage, small).await));
    assert_eq!(
        fixture::count(&stage.db, small.schedule_id, "ENROUTE").await,
        3
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_asks_only_as_often_as_its_share_allows(pool: MySqlPool) {
    let stage = limited_stage(pool, carrier(0), 100).await;
    let batches = send_all(&stage, schedule(20)).await;
    let large = schedule(100_000).recipients;
    // The rest of a list of 100,000: a round takes 1000 seconds.
    sqlx::query("UPDATE schedules SET recipient_count = ? WHERE id = ?")
        .bind(large)
        .bind(batches[0].schedule_id)
        .execute(&stage.db)
        .await
        .unwrap();
    let mut waits = Vec::new();
    for pass in 0..2 {
        stage.db.clock.advance(Duration::from_secs(1000));
        for &batch in &batches {
            stage.recheck(batch).await;
            waits.push(next_check_s(&stage, batch).await);
        }
        let (shortest, longest) = (waits.iter().min(), waits.iter().max());
        if pass == 0 {
            assert!(longest > shortest, "a random phase: {waits:?}");
        } else {
            assert!(
                waits.iter().all(|wait| (990..=1000).contains(wait)),
                "{waits:?}"
            );
        }
        waits.clear();
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn retry_after_ends_the_passes_of_all_environments(pool: MySqlPool) {
    let settings = Settings {
        retry_after_s: Some(30),
        ..carrier(4)
    };
    let stage = Stage::new(pool, settings).await;
    let batches = send_all(&stage, schedule(10)).await;
    stage.db.clock.advance(Duration::from_secs(5));
    stage.recheck(batches[0]).await;
    let before = stage.simulator.carrier().stats();
    assert!(before.status_refused > 0);
    // Another environment asks nothing, and its batch is due again.
    stage.recheck(batches[1]).await;
    let after = stage.simulator.carrier().stats();
    assert_eq!(after.status_queries, before.status_queries);
    assert!(next_check_s(&stage, batches[1]).await >= 5);
    assert_eq!(
        fixture::count(&stage.db, batches[1].schedule_id, "ACCEPTD").await
            + fixture::count(&stage.db, batches[1].schedule_id, "ENROUTE").await,
        10
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_limit_on_queries_is_learned(pool: MySqlPool) {
    let stage = Stage::new(pool, carrier(3)).await;
    let batches = send_all(&stage, schedule(5)).await;
    stage.db.clock.advance(Duration::from_secs(5));
    stage.recheck(batches[0]).await;
    let learned: Option<f64> =
        sqlx::query_scalar("SELECT learned_per_second FROM carrier_limits WHERE kind = 'query'")
            .fetch_one(&stage.db)
            .await
            .unwrap();
    assert!(learned.is_some());
    let submit: Option<f64> =
        sqlx::query_scalar("SELECT learned_per_second FROM carrier_limits WHERE kind = 'submit'")
            .fetch_one(&stage.db)
            .await
            .unwrap();
    assert_eq!(submit, None);
}
