//! The metrics of dispatch: the heartbeat of the sweep, its repairs, and what it reads once per
//! minute.
#![allow(clippy::float_cmp, reason = "the values are exact")]

use std::time::Duration;

use chrono::TimeDelta;
use dispatch::{DispatchedBy, Trigger};
use serde_json::json;
use shared::{
    batch::{
        canary::decide_canary,
        claim::{self, Claim},
    },
    platform::{
        budget::Budget,
        metrics::{Counter, Figures, Measure, collect},
    },
    schedule::canary::CanaryOutcome,
};
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture};

use crate::{dispatch, stage};

/// Runs a sweep as its schedule in EventBridge invokes it.
async fn sweep(stage: &Stage) -> Figures {
    let trigger: Trigger = serde_json::from_value(json!({"sweep": true})).unwrap();
    let swept = stage.dispatcher.handle(trigger, Budget::new(INVOCATION));
    let (swept, figures) = collect(swept).await;
    swept.unwrap();
    figures
}

fn only(figures: &Figures, measure: Measure) -> f64 {
    let values = figures.values(measure);
    assert_eq!(values.len(), 1, "{measure:?}: {values:?}");
    values[0]
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_sweep_that_finds_nothing_emits_its_heartbeat_and_zeros(pool: MySqlPool) {
    let stage = stage(pool).await;
    let figures = sweep(&stage).await;
    let counts: Vec<_> = figures.counts().collect();
    assert_eq!(counts, [(Counter::SweepsFinished, 1)]);
    for measure in [
        Measure::OldestDueBatch,
        Measure::CapacityWanted,
        Measure::SchedulesStuck,
        Measure::UncertainRecipients,
        Measure::CanariesFailed,
    ] {
        assert_eq!(only(&figures, measure), 0.0, "{measure:?}");
    }
    let connections = only(&figures, Measure::DatabaseConnections);
    assert!(connections > 0.0 && connections <= 100.0, "{connections}");
    assert!(figures.values(Measure::CapacityLimit).is_empty());
    assert!(figures.values(Measure::VelocityExceeded).is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_sweep_measures_what_is_due_what_is_uncertain_and_the_limit(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 50,
        parts: 2,
        ..Default::default()
    };
    let schedule = schedule.insert(&stage.db).await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    for sql in [
        "UPDATE carrier_limits SET per_second = 300 WHERE kind = 'submit'",
        "UPDATE batches SET uncertain = 4 WHERE batch_no = 2",
    ] {
        sqlx::query(sql).execute(&stage.db).await.unwrap();
    }
    stage.db.clock.advance(Duration::from_secs(90));
    let figures = sweep(&stage).await;
    let oldest = only(&figures, Measure::OldestDueBatch);
    assert!((89.0..120.0).contains(&oldest), "{oldest}");
    assert_eq!(only(&figures, Measure::CapacityWanted), 100.0);
    assert_eq!(only(&figures, Measure::UncertainRecipients), 4.0);
    assert_eq!(only(&figures, Measure::CapacityLimit), 300.0);
    // While sending is stopped, nothing is due.
    let stop = "UPDATE brakes SET set_at = UTC_TIMESTAMP(3) WHERE name = 'sending'";
    sqlx::query(stop).execute(&stage.db).await.unwrap();
    let figures = sweep(&stage).await;
    assert_eq!(only(&figures, Measure::OldestDueBatch), 0.0);
    assert_eq!(only(&figures, Measure::CapacityWanted), 0.0);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_lost_message_and_a_crashed_owner_are_repairs_and_a_late_resend_is_none(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    let batch = stage.send_queue.take_batches()[0];
    stage.db.clock.advance(Duration::from_secs(121));
    assert_eq!(sweep(&stage).await.count(Counter::SweepRepairs), 1, "lost");
    let now = stage.db.now();
    let lease = Budget::new(INVOCATION).lease_until(now, TimeDelta::seconds(10));
    let claim = Claim::new(batch, now, lease);
    assert!(claim::claim_to_send(&stage.db, &claim).await.unwrap());
    stage.db.clock.advance(Duration::from_secs(76));
    assert_eq!(
        sweep(&stage).await.count(Counter::SweepRepairs),
        1,
        "crashed"
    );
    // Due after more than a queue can delay: the sweep is the usual way.
    let resend = "UPDATE batches SET claim_token = NULL, claimed_until = NULL, crashes = 0, requeues = 0, send_at = ?, sweep_at = ?";
    let due = stage.db.now() + TimeDelta::seconds(60);
    let resend = sqlx::query(resend)
        .bind(due)
        .bind(due - TimeDelta::seconds(120));
    resend.execute(&stage.db).await.unwrap();
    stage.send_queue.take();
    let figures = sweep(&stage).await;
    assert_eq!(stage.send_queue.take().len(), 1);
    assert_eq!(figures.count(Counter::SweepRepairs), 0);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn parked_batches_and_stuck_and_missed_schedules_are_counted(pool: MySqlPool) {
    let stage = stage(pool).await;
    let late = fixture::Schedule {
        run_in_s: -7200,
        ..Default::default()
    };
    let late = late.insert(&stage.db).await;
    let missed = dispatch(&stage, late, DispatchedBy::Queue);
    assert_eq!(collect(missed).await.1.count(Counter::SchedulesMissed), 1);
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    let set = async |assignments: &str| {
        let sql = format!("UPDATE batches SET {assignments}");
        sqlx::query(&sql).execute(&stage.db).await.unwrap();
    };
    stage.db.clock.advance(Duration::from_secs(60));
    set("requeues = 4").await;
    let figures = sweep(&stage).await;
    assert_eq!(only(&figures, Measure::SchedulesStuck), 1.0);
    set("requeues = 0, crashes = 3, sweep_at = send_at").await;
    let figures = sweep(&stage).await;
    assert_eq!(figures.count(Counter::BatchesParked), 1);
    assert_eq!(only(&figures, Measure::SchedulesStuck), 0.0);
    // A schedule that no sweep can cut.
    let bad = fixture::Schedule::default().insert(&stage.db).await;
    let sql = "UPDATE schedules SET version = version + 1, run_at = run_at - INTERVAL 10 MINUTE, opens_at = NULL WHERE id = ?";
    sqlx::query(sql)
        .bind(bad.schedule_id)
        .execute(&stage.db)
        .await
        .unwrap();
    let batch = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at) VALUES (?, 1, 1, 3, '2030-01-01')";
    sqlx::query(batch)
        .bind(bad.schedule_id)
        .execute(&stage.db)
        .await
        .unwrap();
    let trigger: Trigger = serde_json::from_value(json!({"sweep": true})).unwrap();
    let swept = stage.dispatcher.handle(trigger, Budget::new(INVOCATION));
    let (swept, figures) = collect(swept).await;
    assert!(swept.is_err(), "the cut fails");
    assert_eq!(figures.count(Counter::SweepsFinished), 0);
    assert_eq!(only(&figures, Measure::SchedulesStuck), 1.0);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_canary_that_fails_is_in_the_figures_whoever_has_decided(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 12,
        ..Default::default()
    };
    let schedule = schedule.insert(&stage.db).await;
    let canary = "INSERT INTO schedule_canaries (schedule_id, recipients, delivered_share, within_s) VALUES (?, 3, 1, 60)";
    let refused = "UPDATE recipients SET status = 'REJECTD', attempt = 1, sent_at = UTC_TIMESTAMP(3), final_at = UTC_TIMESTAMP(3)
        WHERE schedule_id = ? AND seq = 2";
    let execute = async |sql| {
        let query = sqlx::query(sql).bind(schedule.schedule_id);
        query.execute(&stage.db).await.unwrap();
    };
    execute(canary).await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    let queued = stage.send_queue.take_batches();
    assert_eq!(queued.len(), 1, "the canary is a batch of its own");
    execute(refused).await;
    let failed = async || only(&sweep(&stage).await, Measure::CanariesFailed);
    // The process that decides is killed before it emits anything.
    let decided = decide_canary(&stage.db, schedule.schedule_id).await;
    assert_eq!(decided.unwrap().unwrap().outcome, CanaryOutcome::Failed);
    assert_eq!(failed().await, 1.0);
    // A sweep that is killed is no loss either.
    stage.db.clock.advance(Duration::from_secs(9 * 60));
    assert_eq!(failed().await, 1.0);
    stage.db.clock.advance(Duration::from_secs(2 * 60));
    assert_eq!(
        failed().await,
        0.0,
        "the alarm can be raised for another one"
    );
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "paused"
    );
}
