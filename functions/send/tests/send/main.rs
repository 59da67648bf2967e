//! Send on a real database and a real HTTP carrier.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod budgets;
mod claims;
mod ends;
mod flight;
mod limits;
mod metrics;
mod personal;
mod rate;
mod refusals;
mod spending;
mod stops;
mod suppressions;
mod window;

use api::lists::store::insert_variables;
use dispatch::DispatchedBy;
use shared::platform::{
    db::Db,
    queue::{BatchMessage, DispatchMessage},
};
use simulator::{Settings, UnknownId};
use sqlx::MySqlPool;
use testkit::{Stage, fixture, with_own_ids};
use uuid::Uuid;

/// Returns a stage with a schedule that is cut and due, and its first batch.
async fn cut(
    pool: MySqlPool,
    settings: Settings,
    schedule: fixture::Schedule,
) -> (Stage, BatchMessage) {
    let stage = Stage::new(pool, settings).await;
    let batch = cut_on(&stage, schedule).await;
    (stage, batch)
}

/// Inserts and cuts a schedule, and returns its first batch.
async fn cut_on(stage: &Stage, schedule: fixture::Schedule) -> BatchMessage {
    let message = schedule.insert(&stage.db).await;
    stage.send_queue.take();
    dispatch(stage, message).await;
    stage.send_queue.take_batches()[0]
}

/// Cuts a schedule.
async fn dispatch(stage: &Stage, message: DispatchMessage) {
    stage
        .dispatcher
        .dispatch(message, DispatchedBy::Queue)
        .await
        .unwrap();
}

/// A schedule with three recipients.
fn three() -> fixture::Schedule {
    fixture::Schedule::default()
}

/// A schedule with five recipients.
fn five() -> fixture::Schedule {
    fixture::Schedule {
        recipients: 5,
        ..fixture::Schedule::default()
    }
}

/// Returns a stage whose carrier takes our own ids and loses each answer, and its settings.
async fn own_ids(pool: MySqlPool) -> (Stage, Settings) {
    let settings = Settings {
        username: Some("u".into()),
        password: Some("p".into()),
        reset_after_accept: 1.0,
        unknown_id: UnknownId::NotFound,
        ..Settings::default()
    };
    let stage = Stage::with_carrier(pool, settings.clone(), with_own_ids).await;
    (stage, settings)
}

/// Sets the variable `name` of recipients.
async fn set_names(db: &Db, id: Uuid, names: &[(u32, &str)]) {
    let rows: Vec<_> = names
        .iter()
        .map(|(seq, name)| (*seq, format!(r#"{{"name":"{name}"}}"#)))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(seq, json)| (*seq, json.as_str()))
        .collect();
    insert_variables(&mut db.acquire().await.unwrap(), id, &rows)
        .await
        .unwrap();
}
