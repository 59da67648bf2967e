//! The velocity alarm: who begins to send far more within an hour than ever before.
#![allow(clippy::float_cmp, reason = "the values are exact")]

use std::time::Duration;

use dispatch::{Trigger, sweep::velocity::VelocityRule};
use serde_json::json;
use shared::platform::{
    budget::Budget,
    metrics::{Measure, collect},
};
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture};

use crate::stage;

/// Ten parts are never too many, and three times the busiest hour is not.
const RULE: VelocityRule = VelocityRule {
    parts_per_hour: 10,
    factor: 3,
};

async fn execute(stage: &Stage, sql: &str) {
    sqlx::query(sql).execute(&stage.db).await.unwrap();
}

/// Adds a schedule of two parts that began ten minutes ago.
async fn begun(stage: &Stage, created_by: &str, recipients: u32) {
    let schedule = fixture::Schedule {
        recipients,
        parts: 2,
        run_in_s: -600,
        ..Default::default()
    };
    let schedule = schedule.insert(&stage.db).await;
    sqlx::query("UPDATE schedules SET created_by = ? WHERE id = ?")
        .bind(created_by)
        .bind(schedule.schedule_id)
        .execute(&stage.db)
        .await
        .unwrap();
}

/// Returns the figure of a sweep.
async fn exceeded(stage: &Stage) -> f64 {
    let trigger: Trigger = serde_json::from_value(json!({"sweep": true})).unwrap();
    let swept = stage.dispatcher.handle(trigger, Budget::new(INVOCATION));
    let (swept, figures) = collect(swept).await;
    swept.unwrap();
    let values = figures.values(Measure::VelocityExceeded);
    assert_eq!(values.len(), 1, "{values:?}");
    values[0]
}

/// Returns creators, their busiest hours of today, and whether that was too fast.
async fn kept(stage: &Stage) -> Vec<(String, u64, bool)> {
    sqlx::query_as("SELECT created_by, most_parts, exceeded_at IS NOT NULL FROM velocity_days WHERE day = ? ORDER BY created_by")
        .bind(stage.db.now().date_naive())
        .fetch_all(&stage.db)
        .await
        .unwrap()
}

async fn history(stage: &Stage, created_by: &str, days: i64, parts: u64) {
    let day = stage.db.now().date_naive() - chrono::TimeDelta::days(days);
    sqlx::query("INSERT INTO velocity_days (created_by, day, most_parts) VALUES (?, ?, ?)")
        .bind(created_by)
        .bind(day)
        .bind(parts)
        .execute(&stage.db)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_caller_that_begins_far_more_than_ever_is_counted_until_the_hour_is_over(
    pool: MySqlPool,
) {
    let mut stage = stage(pool).await;
    stage.dispatcher.settings.velocity = RULE;
    let row = |name: &str, parts, is_exceeded| (name.to_owned(), parts, is_exceeded);
    begun(&stage, "key:a", 4).await;
    begun(&stage, "key:little", 1).await;
    assert_eq!(exceeded(&stage).await, 0.0);
    assert_eq!(kept(&stage).await, [row("key:a", 8, false)]);

    begun(&stage, "key:a", 2).await;
    begun(&stage, "user:b", 50).await;
    assert_eq!(exceeded(&stage).await, 2.0, "twelve, and a hundred parts");
    let both = [row("key:a", 12, true), row("user:b", 100, true)];
    assert_eq!(kept(&stage).await, both);
    assert_eq!(exceeded(&stage).await, 2.0, "a second sweep says the same");

    // What is usual is the busiest hour of the thirty days before.
    history(&stage, "key:a", 30, 4).await;
    history(&stage, "key:a", 1, 1).await;
    history(&stage, "user:b", 1, 33).await;
    history(&stage, "user:b", 31, 1_000).await;
    assert_eq!(exceeded(&stage).await, 1.0);
    history(&stage, "user:b", 2, 34).await;
    assert_eq!(exceeded(&stage).await, 0.0);
    assert_eq!(kept(&stage).await, both, "it is kept that it was too fast");

    execute(&stage, "DELETE FROM velocity_days").await;
    assert_eq!(exceeded(&stage).await, 2.0);
    stage.db.clock.advance(Duration::from_secs(51 * 60));
    assert_eq!(exceeded(&stage).await, 0.0);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_has_not_begun_does_not_count_and_what_was_cancelled_does(pool: MySqlPool) {
    let mut stage = stage(pool).await;
    stage.dispatcher.settings.velocity = RULE;
    begun(&stage, "key:a", 6).await;
    for (change, expected) in [
        ("status = 'draft'", 0.0),
        ("status = 'awaiting-approval'", 0.0),
        ("status = 'scheduled', created_by = NULL", 0.0),
        (
            "created_by = 'key:a', run_at = run_at + INTERVAL 11 MINUTE",
            0.0,
        ),
        (
            "run_at = run_at - INTERVAL 11 MINUTE, status = 'cancelled'",
            1.0,
        ),
    ] {
        execute(&stage, &format!("UPDATE schedules SET {change}")).await;
        let figure = exceeded(&stage).await;
        assert_eq!(figure, expected, "{change}");
        // The sweep may have cut it.
        execute(&stage, "DELETE FROM batches").await;
        let uncut = "UPDATE schedules SET batch_count = NULL, dispatched_at = NULL, dispatched_by = NULL, status = 'draft', finished_at = NULL";
        execute(&stage, uncut).await;
    }
}
