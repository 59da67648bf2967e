//! Recheck on a real database and a real HTTP carrier: run twice, at the same time, crashed between
//! the query and the record, and each way in which a status can arrive.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod limits;
mod metrics;
mod passes;
mod resends;
mod statuses;

use std::time::Duration;

use dispatch::DispatchedBy;
use shared::platform::queue::BatchMessage;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

/// Returns a stage with a schedule whose first batch was just sent, and that batch.
async fn sent(
    pool: MySqlPool,
    settings: Settings,
    schedule: fixture::Schedule,
) -> (Stage, BatchMessage) {
    let stage = Stage::new(pool, settings).await;
    let batch = send_on(&stage, schedule).await;
    (stage, batch)
}

/// Inserts and cuts a schedule, and sends its first batch.
async fn send_on(stage: &Stage, schedule: fixture::Schedule) -> BatchMessage {
    let message = schedule.insert(&stage.db).await;
    stage
        .dispatcher
        .dispatch(message, DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    stage.recheck_queue.take();
    batch
}

/// Inserts and cuts a schedule, and sends all its batches.
async fn send_all(stage: &Stage, schedule: fixture::Schedule) -> Vec<BatchMessage> {
    let message = schedule.insert(&stage.db).await;
    stage
        .dispatcher
        .dispatch(message, DispatchedBy::Queue)
        .await
        .unwrap();
    // Each pass admits the batches that follow.
    let mut batches = stage.send_queue.take_batches();
    let mut sent = 0;
    while sent < batches.len() {
        stage.send(batches[sent]).await;
        sent += 1;
        batches.extend(stage.send_queue.take_batches());
    }
    stage.recheck_queue.take();
    batches
}

/// A schedule with three recipients.
fn three() -> fixture::Schedule {
    fixture::Schedule::default()
}

/// Advances the clock, and runs the recheck.
async fn recheck_after(stage: &Stage, batch: BatchMessage, seconds: u64) {
    stage.db.clock.advance(Duration::from_secs(seconds));
    stage.recheck(batch).await;
}
