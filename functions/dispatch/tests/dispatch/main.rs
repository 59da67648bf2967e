//! Dispatch on a real database: each trigger, run twice, at the same time, crashed between the cut
//! and the queue, and the sweep.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod admission;
mod cut;
mod drip;
mod lost;
mod metrics;
mod personal_data;
mod retention;
mod summaries;
mod sweep;
mod triggers;
mod velocity;
mod window;

use dispatch::DispatchedBy;
use shared::platform::queue::DispatchMessage;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::Stage;

async fn stage(pool: MySqlPool) -> Stage {
    Stage::new(pool, Settings::default()).await
}

async fn dispatch(stage: &Stage, schedule: DispatchMessage, by: DispatchedBy) {
    stage.dispatcher.dispatch(schedule, by).await.unwrap();
}

async fn sweep(stage: &Stage) {
    stage.dispatcher.sweep(|| true).await.unwrap();
}

/// Returns `schedules.dispatched_by`.
async fn dispatched_by(stage: &Stage, schedule: DispatchMessage) -> Option<String> {
    sqlx::query_scalar("SELECT dispatched_by FROM schedules WHERE id = ?")
        .bind(schedule.schedule_id)
        .fetch_one(&stage.db)
        .await
        .unwrap()
}
