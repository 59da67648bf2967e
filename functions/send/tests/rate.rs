//! The rate of a schedule that was changed after its cut: a batch that was made for a faster one does not go out at once.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_batch_cut_for_a_faster_rate_keeps_the_slower_one(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule { recipients: 5, ..Default::default() }.insert(&stage.db).await;
    stage.dispatcher.dispatch(schedule, dispatch::Way::Queue).await.unwrap();
    let batch = stage.send_queue.take_batches()[0];
    sqlx::query("UPDATE schedules SET rate = 1").execute(&stage.db.pool).await.unwrap();
    let begun = Instant::now();
    stage.send(batch).await;
    // Two, two and one, each two seconds of the rate after the one before.
    assert_eq!(stage.simulator.carrier().stats().requests, 3);
    assert_eq!(fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await, 5);
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
}
