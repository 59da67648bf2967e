//! A schedule whose window is closed at `run_at` begins when it opens.

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::DispatchedBy;
use shared::{message::window::Window, platform::queue::DispatchMessage};
use sqlx::MySqlPool;
use testkit::{Stage, fixture, window};

use crate::{dispatch, dispatched_by, stage, sweep};

/// Inserts a schedule that was due an hour ago. A release that does not know `opens_at` has written
/// the row.
async fn insert(stage: &Stage, window: &Window) -> DispatchMessage {
    let schedule = fixture::Schedule {
        run_in_s: -3_700,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let sql = "UPDATE schedules SET send_window = ? WHERE id = ?";
    let update = sqlx::query(sql)
        .bind(window::column(window))
        .bind(schedule.schedule_id);
    update.execute(&stage.db).await.unwrap();
    schedule
}

async fn opens_at(stage: &Stage, schedule: DispatchMessage) -> Option<DateTime<Utc>> {
    sqlx::query_scalar("SELECT opens_at FROM schedules WHERE id = ?")
        .bind(schedule.schedule_id)
        .fetch_one(&stage.db)
        .await
        .unwrap()
}

async fn status(stage: &Stage, schedule: DispatchMessage) -> String {
    fixture::status(&stage.db, schedule.schedule_id).await
}

fn advance_to(stage: &Stage, at: DateTime<Utc>) {
    let by = (at - stage.db.now()).to_std().unwrap();
    stage.db.clock.advance(by);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_is_cut_shortly_before_its_window_opens(pool: MySqlPool) {
    let stage = stage(pool).await;
    let window = window::daily(stage.db.now(), 120..180);
    let opens = window.next_open(stage.db.now());
    let by_event = insert(&stage, &window).await;
    let by_sweep = insert(&stage, &window).await;
    dispatch(&stage, by_event, DispatchedBy::EventBridge).await;
    sweep(&stage).await;
    advance_to(&stage, opens - TimeDelta::seconds(110));
    dispatch(&stage, by_event, DispatchedBy::EventBridge).await;
    for schedule in [by_event, by_sweep] {
        assert_eq!(status(&stage, schedule).await, "scheduled");
        assert_eq!(
            opens_at(&stage, schedule).await,
            Some(opens),
            "the sweep looks for it again when its window opens"
        );
    }
    advance_to(&stage, opens - TimeDelta::seconds(90));
    sweep(&stage).await;
    assert_eq!(status(&stage, by_event).await, "scheduled");
    dispatch(&stage, by_event, DispatchedBy::EventBridge).await;
    assert_eq!(status(&stage, by_event).await, "running");
    assert_eq!(status(&stage, by_sweep).await, "scheduled");
    advance_to(&stage, opens - TimeDelta::seconds(69));
    sweep(&stage).await;
    assert_eq!(
        dispatched_by(&stage, by_sweep).await.as_deref(),
        Some("sweep")
    );
    advance_to(&stage, opens);
    stage.play().await;
    let first: DateTime<Utc> = sqlx::query_scalar("SELECT MIN(sent_at) FROM recipients")
        .fetch_one(&stage.db)
        .await
        .unwrap();
    assert!(first >= opens, "{first}");
    assert_eq!(stage.simulator.carrier().accepted(), 6);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn lateness_counts_from_the_opening_of_the_window(pool: MySqlPool) {
    let stage = stage(pool).await;
    let now = stage.db.now();
    // Both were due three hours ago, and may be an hour late.
    let mut found = Vec::new();
    for opened_before in [59, 61] {
        let schedule = insert(&stage, &window::daily(now, -opened_before..30)).await;
        let sql = "UPDATE schedules SET run_at = run_at - INTERVAL 2 HOUR WHERE id = ?";
        let update = sqlx::query(sql).bind(schedule.schedule_id);
        update.execute(&stage.db).await.unwrap();
        found.push(schedule);
    }
    sweep(&stage).await;
    assert_eq!(status(&stage, found[0]).await, "running");
    assert_eq!(status(&stage, found[1]).await, "missed");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_end_before_the_window_opens_closes_the_recipients(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = insert(&stage, &window::daily(stage.db.now(), 120..180)).await;
    let end = stage.db.now() + TimeDelta::minutes(30);
    let sql = "UPDATE schedules SET send_until = ?, rate = 1 WHERE id = ?";
    let update = sqlx::query(sql).bind(end).bind(schedule.schedule_id);
    update.execute(&stage.db).await.unwrap();
    sweep(&stage).await;
    assert_eq!(status(&stage, schedule).await, "scheduled");
    advance_to(&stage, end - TimeDelta::seconds(60));
    sweep(&stage).await;
    assert_eq!(status(&stage, schedule).await, "running");
    // Its batches wait for the end, not for the window.
    advance_to(&stage, end);
    sweep(&stage).await;
    stage.play().await;
    assert_eq!(status(&stage, schedule).await, "finished");
    let lines = fixture::recipients(&stage.db, schedule.schedule_id).await;
    assert!(
        lines
            .iter()
            .all(|line| line.ends_with("EXPIRED 0 0 send-until")),
        "{lines:?}"
    );
    assert_eq!(stage.simulator.carrier().accepted(), 0);
    let closed: DateTime<Utc> = sqlx::query_scalar("SELECT MAX(final_at) FROM recipients")
        .fetch_one(&stage.db)
        .await
        .unwrap();
    assert!(closed < end + TimeDelta::minutes(10), "{closed}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_opening_of_a_former_time_is_corrected(pool: MySqlPool) {
    let stage = stage(pool).await;
    let window = window::daily(stage.db.now(), 120..180);
    let schedule = insert(&stage, &window).await;
    // A release that does not know the column has moved `run_at`.
    let sql = "UPDATE schedules SET opens_at = run_at WHERE id = ?";
    let update = sqlx::query(sql).bind(schedule.schedule_id);
    update.execute(&stage.db).await.unwrap();
    sweep(&stage).await;
    assert_eq!(
        opens_at(&stage, schedule).await,
        Some(window.next_open(stage.db.now()))
    );
    let old_version = DispatchMessage {
        version: 0,
        ..schedule
    };
    dispatch(&stage, old_version, DispatchedBy::Queue).await;
    assert_eq!(status(&stage, schedule).await, "scheduled");
}
