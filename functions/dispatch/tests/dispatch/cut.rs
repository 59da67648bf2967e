//! The cut: run twice, at the same time, and in each state of a schedule.

use chrono::TimeDelta;
use dispatch::DispatchedBy;
use shared::platform::queue::{BatchMessage, DispatchMessage};
use sqlx::MySqlPool;
use testkit::fixture;

use crate::{dispatch, dispatched_by, stage, sweep};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_is_cut_into_batches_that_are_enqueued(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        run_in_s: 60,
        recipients: 12,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(&stage, schedule, DispatchedBy::EventBridge).await;
    let messages = stage.send_queue.take();
    assert_eq!(messages.len(), 3, "five, five and two");
    assert!(
        messages.iter().all(|message| message.delay_s == 59),
        "sixty seconds, 0.8 s early: {messages:?}"
    );
    assert!(
        messages
            .iter()
            .all(|message| message.group == schedule.schedule_id.to_string())
    );
    let last = fixture::batch(
        &stage.db,
        BatchMessage {
            schedule_id: schedule.schedule_id,
            batch_no: 3,
        },
    )
    .await;
    assert_eq!(last.range, (11, 12));
    assert!(
        last.sweep_at.unwrap() - last.send_at.unwrap() == TimeDelta::seconds(10),
        "{last:?}"
    );
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "running"
    );
    assert_eq!(
        dispatched_by(&stage, schedule).await.as_deref(),
        Some("eventbridge")
    );
    fixture::assert_counts(&stage.db, schedule.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn concurrent_and_repeated_dispatches_cut_once(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    let cut = || dispatch(&stage, schedule, DispatchedBy::Queue);
    tokio::join!(cut(), cut(), cut());
    cut().await;
    assert_eq!(stage.send_queue.take().len(), 1);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn schedules_that_are_not_due_are_not_cut(pool: MySqlPool) {
    let stage = stage(pool).await;
    let later = fixture::Schedule {
        run_in_s: 110,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let draft = fixture::Schedule {
        status: "draft",
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let moved = DispatchMessage {
        version: 0,
        ..fixture::Schedule::default().insert(&stage.db).await
    };
    let gone = DispatchMessage {
        schedule_id: uuid::Uuid::now_v7(),
        version: 1,
    };
    for schedule in [later, draft, moved, gone] {
        dispatch(&stage, schedule, DispatchedBy::Queue).await;
    }
    assert!(stage.send_queue.take().is_empty());
    assert_eq!(
        fixture::status(&stage.db, later.schedule_id).await,
        "scheduled"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_found_too_late_is_missed_and_not_sent(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        run_in_s: -3700,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    sweep(&stage).await;
    stage.play().await;
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "missed"
    );
    assert_eq!(
        fixture::recipients(&stage.db, schedule.schedule_id).await[0],
        "1 PENDING 0 0"
    );
    sweep(&stage).await;
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "missed",
        "a second sweep has nothing to do"
    );
    assert_eq!(stage.simulator.carrier().accepted(), 0);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_recipients_of_a_schedule_cancelled_before_its_cut_are_closed(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        status: "cancelled",
        run_in_s: 9000,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "CANCELLED").await,
        3
    );
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "cancelled"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_without_recipients_finishes_at_once(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 0,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "finished"
    );
}
