//! A schedule with a rate: its batches follow each other without a gap or a burst.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::DispatchedBy;
use shared::platform::queue::{BatchMessage, DispatchMessage};
use sqlx::{MySqlPool, Row};
use testkit::{Stage, fixture};

use crate::{
    admission::{assert_turns, end},
    dispatch, stage, sweep,
};

/// Inserts and cuts a schedule of two messages per second, in batches of four.
async fn cut_drip(stage: &Stage, run_in_s: i64) -> DispatchMessage {
    let schedule = fixture::Schedule {
        recipients: 200,
        rate: Some(2),
        run_in_s,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(stage, schedule, DispatchedBy::Queue).await;
    schedule
}

/// Ends the batches that are due by now.
async fn end_due(stage: &Stage, schedule: DispatchMessage) {
    let sql = "SELECT batch_no FROM batches WHERE schedule_id = ? AND waiting = 0 AND send_at <= ? ORDER BY batch_no";
    let due = sqlx::query(sql)
        .bind(schedule.schedule_id)
        .bind(stage.db.now());
    for row in due.fetch_all(&stage.db).await.unwrap() {
        let batch = BatchMessage {
            schedule_id: schedule.schedule_id,
            batch_no: row.get("batch_no"),
        };
        end(stage, batch).await;
    }
}

/// Returns the due times of the admitted batches.
async fn admitted(stage: &Stage) -> Vec<DateTime<Utc>> {
    let sql =
        "SELECT send_at FROM batches WHERE waiting = 0 AND send_at IS NOT NULL ORDER BY batch_no";
    let rows = sqlx::query(sql).fetch_all(&stage.db).await.unwrap();
    rows.iter().map(|row| row.get("send_at")).collect()
}

fn assert_every_two_seconds(times: &[DateTime<Utc>]) {
    for pair in times.windows(2) {
        assert_eq!(pair[1] - pair[0], TimeDelta::seconds(2), "{times:?}");
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn fifteen_seconds_of_a_rate_are_enqueued_and_releases_continue(pool: MySqlPool) {
    let stage = stage(pool).await;
    // They are not due, so they take no slots.
    sqlx::query("UPDATE carriers SET open_slots = 4")
        .execute(&stage.db)
        .await
        .unwrap();
    let schedule = cut_drip(&stage, 60).await;
    assert_eq!(stage.send_queue.take().len(), 8, "ahead of time");
    stage.db.clock.advance(Duration::from_secs(60));
    for _ in 0..20 {
        stage.db.clock.advance(Duration::from_secs(2));
        end_due(&stage, schedule).await;
        let times = admitted(&stage).await;
        assert!((6..=8).contains(&times.len()), "{times:?}");
        assert_every_two_seconds(&times);
        assert_turns(&stage).await;
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_rate_continues_without_a_burst_after_a_late_sweep(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = cut_drip(&stage, 0).await;
    stage.send_queue.take();
    // Nothing is released and nobody sweeps for a minute.
    stage.db.clock.advance(Duration::from_secs(75));
    end_due(&stage, schedule).await;
    sweep(&stage).await;
    let times = admitted(&stage).await;
    assert!(
        times[0] >= stage.db.now() - TimeDelta::seconds(2),
        "{times:?}"
    );
    assert_every_two_seconds(&times);
    assert!(times.len() <= 8, "no burst: {times:?}");
}
