//! The sweep: it finds what the queue or a worker has lost, and does not flood a slow queue.

use std::time::Duration;

use chrono::TimeDelta;
use dispatch::DispatchedBy;
use shared::{
    batch::claim::{self, Claim},
    platform::{budget::Budget, queue::Queue},
};
use sqlx::MySqlPool;
use testkit::{INVOCATION, fixture};

use crate::{dispatch, dispatched_by, stage, sweep};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_enqueues_batches_that_the_queue_refused_or_lost(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 15,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage.send_queue.refuse([1]);
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    stage.send_queue.refuse([]);
    let taken: Vec<_> = stage
        .send_queue
        .take_batches()
        .iter()
        .map(|batch| batch.batch_no)
        .collect();
    assert_eq!(taken, [1, 3]);
    sweep(&stage).await;
    assert_eq!(
        stage
            .send_queue
            .take_batches()
            .iter()
            .map(|batch| batch.batch_no)
            .collect::<Vec<_>>(),
        [2],
        "the refused batch is due at once"
    );
    sweep(&stage).await;
    assert!(
        stage.send_queue.take().is_empty(),
        "the batches were just enqueued"
    );
    // A purge loses all three messages.
    stage.db.clock.advance(Duration::from_secs(121));
    sweep(&stage).await;
    assert_eq!(stage.send_queue.take().len(), 3);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_cuts_a_schedule_that_eventbridge_did_not_dispatch(pool: MySqlPool) {
    let stage = stage(pool).await;
    let soon = fixture::Schedule {
        run_in_s: 60,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let later = fixture::Schedule {
        run_in_s: 80,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    sweep(&stage).await;
    assert_eq!(stage.send_queue.take().len(), 1);
    assert_eq!(dispatched_by(&stage, soon).await.as_deref(), Some("sweep"));
    assert_eq!(
        dispatched_by(&stage, later).await,
        None,
        "EventBridge dispatches it"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_enqueues_a_batch_whose_lease_has_expired(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    let batch = stage.send_queue.take_batches()[0];
    let now = stage.db.now();
    let lease = Budget::new(INVOCATION).lease_until(now, TimeDelta::seconds(10));
    assert!(
        claim::claim_to_send(&stage.db, &Claim::new(batch, now, lease))
            .await
            .unwrap()
    );
    stage.db.clock.advance(Duration::from_secs(70));
    sweep(&stage).await;
    assert!(
        stage.send_queue.take().is_empty(),
        "the lease has just expired; the sweep waits five seconds more"
    );
    stage.db.clock.advance(Duration::from_secs(6));
    sweep(&stage).await;
    assert_eq!(stage.send_queue.take_batches(), [batch]);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_does_not_enqueue_a_backlog_repeatedly(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule {
        recipients: 50,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    let mut most = 0;
    for _ in 0..120 {
        stage.db.clock.advance(Duration::from_secs(60));
        sweep(&stage).await;
        most = most.max(stage.send_queue.backlog().await.unwrap());
    }
    assert_eq!(
        most, 8,
        "the messages of batches that no worker takes after two hours"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_that_cannot_be_cut_does_not_stop_the_sweep(pool: MySqlPool) {
    let stage = stage(pool).await;
    let bad = fixture::Schedule::default().insert(&stage.db).await;
    // A batch that exists already makes the cut fail.
    let insert = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at) VALUES (?, 1, 1, 3, '2030-01-01')";
    sqlx::query(insert)
        .bind(bad.schedule_id)
        .execute(&stage.db)
        .await
        .unwrap();
    fixture::Schedule::default().insert(&stage.db).await;
    assert!(
        stage.dispatcher.sweep(|| true).await.is_err(),
        "the error raises the alarm"
    );
    assert_eq!(stage.send_queue.take().len(), 1);
}
