//! The statements that only metrics need: they run once per minute, or once per pass of recheck.

use chrono::{TimeDelta, Utc};
use sqlx::MySqlPool;

use crate::{
    plans::Plans,
    tables::{NUMBERS, analyze, execute, insert_schedules},
};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_statements_of_metrics_use_their_keys_and_sort_nothing(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let now = Utc::now();
    let past = now - TimeDelta::minutes(5);
    let mut plans = Plans::new(&pool);
    plans
        .check(
            "what is due at a sweep",
            &["b.pending * s.parts AS unsent"],
            &["b admitted", "s PRIMARY", "u to_cut", "x with_uncertain"],
            &[&past, &past, &3, &3, &4, &past, &now, &5000],
        )
        .await;
    plans
        .check(
            "what has ended of a batch and of those before it",
            &["AS \"delivered_before!: u64\""],
            &["batches PRIMARY"],
            &[&30, &30, &30, &30, &id, &10, &30],
        )
        .await;
    plans
        .check(
            "the canaries that have failed",
            &["AS \"decided_at!: DateTime<Utc>\"", "c.decided_at > ?"],
            &["s by_status", "c PRIMARY"],
            &[&past],
        )
        .await;
    plans.assert_none_wrong();
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_statements_of_velocities_use_their_keys_and_sort_nothing(pool: MySqlPool) {
    insert_schedules(&pool).await;
    // Nine hundred callers of thirty days.
    let days = format!(
        "INSERT INTO velocity_days (created_by, day, most_parts) {NUMBERS} CONCAT('key:', n.n), DATE('2026-11-01') + INTERVAL d.n DAY, 1
         FROM n JOIN (SELECT DISTINCT batch_no AS n FROM batches WHERE batch_no <= 30) d"
    );
    execute(&pool, &days).await;
    analyze(&pool, "velocity_days").await;
    let now = Utc::now();
    let (past, day) = (now - TimeDelta::hours(1), now.date_naive().to_string());
    let mut plans = Plans::new(&pool);
    plans
        .check(
            "what has begun within the hour",
            &["CAST(s.recipient_count AS UNSIGNED) * s.parts AS parts"],
            &["s by_time"],
            &[&past, &now, &50_000],
        )
        .await;
    plans
        .check(
            "the busiest hours of callers",
            &["velocity_days v FORCE INDEX (PRIMARY)"],
            &["v PRIMARY"],
            &[&r#"["key:1", "key:2"]"#, &"2026-11-01", &day],
        )
        .await;
    plans
        .check(
            "the callers of a day",
            &["FROM velocity_days FORCE INDEX (by_day)"],
            &["velocity_days by_day"],
            &[&day, &past, &100],
        )
        .await;
    plans
        .check(
            "old velocities",
            &["DELETE FROM velocity_days"],
            &["velocity_days by_day"],
            &[&"2026-11-02", &5_000],
        )
        .await;
    plans.assert_none_wrong();
}
