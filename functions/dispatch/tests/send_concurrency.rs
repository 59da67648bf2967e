//! The number of batches that an operator admits while schedules run. The run-time settings are those
//! of a process, so that this test has a binary of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::VecDeque;

use dispatch::DispatchedBy;
use shared::platform::{
    queue::{BatchMessage, DispatchMessage},
    run_time::{self, RunTimeValues},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

/// What `make settings SET=send_concurrency=…` has every function read.
fn set(send_concurrency: Option<u32>) {
    run_time::apply(RunTimeValues {
        send_concurrency,
        ..RunTimeValues::default()
    });
}

/// Inserts and cuts a schedule that is due now, of `batches` batches of five.
async fn cut(stage: &Stage, batches: u32, status: &'static str, priority: &str) -> DispatchMessage {
    let schedule = fixture::Schedule {
        status,
        recipients: batches * 5,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    sqlx::query("UPDATE schedules SET priority = ? WHERE id = ?")
        .bind(priority)
        .bind(schedule.schedule_id)
        .execute(&stage.db)
        .await
        .unwrap();
    let cut = stage.dispatcher.dispatch(schedule, DispatchedBy::Queue);
    cut.await.unwrap();
    schedule
}

/// The send queue, and the workers that send its batches.
struct Work<'a> {
    stage: &'a Stage,
    queue: VecDeque<BatchMessage>,
}

impl Work<'_> {
    /// Returns how many batches are on the queue.
    fn enqueued(&mut self) -> usize {
        self.queue.extend(self.stage.send_queue.take_batches());
        self.queue.len()
    }

    /// Sends so many batches. Returns the largest number on the queue after any of them.
    async fn send(&mut self, batches: usize) -> usize {
        let mut most = 0;
        for _ in 0..batches {
            let batch = self.queue.pop_front().expect("a batch on the queue");
            self.stage.send(batch).await;
            most = most.max(self.enqueued());
        }
        most
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_reduced_concurrency_holds_batches_back_and_strands_none(pool: MySqlPool) {
    let stage = &Stage::new(pool, Settings::default()).await;
    let mut work = Work {
        stage,
        queue: VecDeque::new(),
    };
    set(Some(2));
    let normal = cut(stage, 40, "scheduled", "normal").await;
    assert_eq!(work.enqueued(), 2);
    let high = cut(stage, 6, "scheduled", "high").await;
    let cancelled = cut(stage, 3, "cancelled", "normal").await;
    assert_eq!(work.enqueued(), 2, "neither high nor what is only closed");
    work.send(2).await;
    let next: Vec<_> = work.queue.iter().map(|batch| batch.schedule_id).collect();
    assert_eq!(next, [cancelled.schedule_id; 2], "what is closed first");
    assert_eq!(work.send(4).await, 2);
    assert_eq!(work.queue[0].schedule_id, high.schedule_id);

    set(None);
    assert_eq!(work.enqueued(), 2, "nothing is admitted by itself");
    stage.dispatcher.sweep(|| true).await.unwrap();
    assert!(work.enqueued() > 2, "the next sweep admits more");
    let begun = work.queue.len();

    set(Some(1));
    stage.dispatcher.sweep(|| true).await.unwrap();
    assert_eq!(work.enqueued(), begun, "what is admitted is sent");
    assert_eq!(work.send(begun - 1).await, begun - 1, "no more than that");
    assert_eq!(work.queue.len(), 1);
    while work.enqueued() > 0 {
        assert_eq!(work.queue.len(), 1, "one after the other");
        work.send(1).await;
    }
    for schedule in [normal, high, cancelled] {
        let left = fixture::count(&stage.db, schedule.schedule_id, "PENDING").await;
        assert_eq!(left, 0);
    }
    let accepted = stage.simulator.carrier().ledger().len();
    assert_eq!(accepted, 5 * (40 + 6), "each message once");

    // While all sending is stopped, cancelled schedules are closed beside what is not sent.
    cut(stage, 2, "scheduled", "normal").await;
    assert_eq!(work.enqueued(), 1);
    sqlx::query("UPDATE brakes SET set_at = UTC_TIMESTAMP(3)")
        .execute(&stage.db)
        .await
        .unwrap();
    let cancelled = cut(stage, 2, "cancelled", "normal").await;
    assert_eq!(work.enqueued(), 2);
    assert_eq!(work.queue[1].schedule_id, cancelled.schedule_id);
}
