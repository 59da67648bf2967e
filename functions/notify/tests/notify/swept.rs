//! What the sweep enqueues while circuits are open.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, webhooks};
use uuid::Uuid;

/// Records deliveries of a webhook, which have been due since `due_at`.
async fn insert_due(stage: &Stage, webhook: Uuid, count: u32, due_at: DateTime<Utc>) {
    let events: Vec<_> = (0..count)
        .map(|_| Uuid::now_v7().simple().to_string())
        .collect();
    let sql = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, data, due_at, created_at)
        SELECT ?, UNHEX(j.id), 'schedule.finished', '{}', ?, ? FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) j";
    sqlx::query(sql)
        .bind(webhook)
        .bind(due_at)
        .bind(due_at)
        .bind(serde_json::json!(events).to_string())
        .execute(&stage.db)
        .await
        .unwrap();
}

async fn suspend(stage: &Stage, webhook: Uuid, until: DateTime<Utc>) {
    sqlx::query("UPDATE webhooks SET failures = 3, suspended_until = ? WHERE id = ?")
        .bind(until)
        .bind(webhook)
        .execute(&stage.db)
        .await
        .unwrap();
}

/// Sweeps, and returns how many deliveries of each webhook are enqueued.
async fn swept(stage: &Stage) -> HashMap<Uuid, usize> {
    stage.dispatcher.sweep(|| true).await.unwrap();
    let mut counts = HashMap::new();
    for delivery in stage.notify_queue.take_deliveries() {
        *counts.entry(delivery.webhook_id).or_default() += 1;
    }
    counts
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_suspended_webhook_hides_no_delivery_of_another_from_the_sweep(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let (db, now) = (&stage.db, stage.db.now());
    let suspended = webhooks::insert(db, "http://127.0.0.1:9", "schedule.finished").await;
    let busy = webhooks::insert(db, "http://127.0.0.1:9", "schedule.finished").await;
    let other = webhooks::insert(db, "http://127.0.0.1:9", "schedule.finished").await;
    insert_due(&stage, suspended, 1500, now - TimeDelta::hours(2)).await;
    insert_due(&stage, busy, 1200, now - TimeDelta::hours(1)).await;
    insert_due(&stage, other, 3, now).await;
    suspend(&stage, suspended, now + TimeDelta::minutes(5)).await;
    assert_eq!(
        swept(&stage).await,
        HashMap::from([(busy, 1000), (other, 1)]),
        "each webhook has a message, and one is enough for all that is due"
    );
    suspend(&stage, suspended, now).await;
    assert_eq!(
        swept(&stage).await,
        HashMap::from([(suspended, 1), (busy, 1000), (other, 1)]),
        "its probe"
    );
}
