//! Admission: how many batches are on the queue, and whose they are.

use std::{collections::HashMap, time::Duration};

use chrono::TimeDelta;
use dispatch::DispatchedBy;
use shared::platform::queue::{BatchMessage, DispatchMessage};
use sqlx::MySqlPool;
use testkit::{Stage, fixture};
use uuid::Uuid;

use crate::{dispatch, stage, sweep};

/// Inserts and cuts a schedule that is due now, of `batches` batches of five.
pub async fn cut(stage: &Stage, batches: u32, priority: &str) -> DispatchMessage {
    let schedule = fixture::Schedule {
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
    dispatch(stage, schedule, DispatchedBy::Queue).await;
    schedule
}

/// Sets the carrier's limit in message parts per second.
async fn limit(stage: &Stage, per_second: u32) {
    sqlx::query("UPDATE carrier_limits SET per_second = ? WHERE kind = 'submit'")
        .bind(per_second)
        .execute(&stage.db)
        .await
        .unwrap();
}

/// Ends a batch as a worker would, which then admits the next.
pub async fn end(stage: &Stage, batch: BatchMessage) {
    end_as(stage, batch, false).await;
}

/// The same; `is_open`: the carrier has accepted messages, and refused none.
async fn end_as(stage: &Stage, batch: BatchMessage, is_open: bool) {
    let sql = "UPDATE batches SET send_at = NULL, sweep_at = NULL, waiting = 0, pending = 0 WHERE schedule_id = ? AND batch_no = ?";
    sqlx::query(sql)
        .bind(batch.schedule_id)
        .bind(batch.batch_no)
        .execute(&stage.db)
        .await
        .unwrap();
    stage
        .dispatcher
        .admission
        .admit_after_pass(is_open)
        .await
        .unwrap();
}

/// Asserts that exactly the schedules with a batch that waits have a turn.
pub async fn assert_turns(stage: &Stage) {
    let sql = "SELECT (SELECT COUNT(*) FROM batches b WHERE b.waiting = 1
            AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.schedule_id = b.schedule_id))
          + (SELECT COUNT(*) FROM turns t WHERE NOT EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = t.schedule_id AND b.waiting = 1))
          + (SELECT COUNT(*) FROM batches b WHERE b.waiting = 1 AND b.sweep_at IS NULL)";
    let wrong: i64 = sqlx::query_scalar(sql).fetch_one(&stage.db).await.unwrap();
    assert_eq!(wrong, 0, "turns and batches that wait");
}

/// Works until nothing is on the queue. Returns the schedules of the batches in their order, and the
/// largest number of batches that were enqueued at the same time.
async fn work(stage: &Stage) -> (Vec<Uuid>, usize) {
    let mut queue = std::collections::VecDeque::from(stage.send_queue.take_batches());
    let (mut order, mut most) = (Vec::new(), queue.len());
    while let Some(batch) = queue.pop_front() {
        order.push(batch.schedule_id);
        end(stage, batch).await;
        queue.extend(stage.send_queue.take_batches());
        most = most.max(queue.len());
        if order.len() % 16 == 0 {
            assert_turns(stage).await;
        }
    }
    assert_turns(stage).await;
    (order, most)
}

fn count(order: &[Uuid]) -> HashMap<Uuid, usize> {
    let mut counts = HashMap::new();
    for id in order {
        *counts.entry(*id).or_default() += 1;
    }
    counts
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_queue_never_holds_more_batches_than_slots(pool: MySqlPool) {
    let stage = stage(pool).await;
    cut(&stage, 60, "normal").await;
    let (order, most) = work(&stage).await;
    assert_eq!((order.len(), most), (60, 8));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_limit_leaves_few_batches_on_the_queue(pool: MySqlPool) {
    let stage = stage(pool).await;
    limit(&stage, 10).await;
    cut(&stage, 40, "normal").await;
    let (order, most) = work(&stage).await;
    assert_eq!((order.len(), most), (40, 4));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn passes_without_a_429_open_more_slots_while_no_limit_is_known(pool: MySqlPool) {
    let stage = stage(pool).await;
    cut(&stage, 100, "normal").await;
    let mut queue = std::collections::VecDeque::from(stage.send_queue.take_batches());
    let (mut most_open, mut most) = (0, 0);
    while let Some(batch) = queue.pop_front() {
        end_as(&stage, batch, true).await;
        queue.extend(stage.send_queue.take_batches());
        most = most.max(queue.len());
        let sql = "SELECT open_slots FROM carriers";
        let open: u32 = sqlx::query_scalar(sql).fetch_one(&stage.db).await.unwrap();
        most_open = most_open.max(open);
    }
    assert_eq!(most_open, 30, "one and a half times SEND_CONCURRENCY");
    assert!((25..=30).contains(&most), "{most}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn two_large_schedules_share_equally_and_a_small_one_begins_at_once(pool: MySqlPool) {
    let stage = stage(pool).await;
    limit(&stage, 10).await;
    let (first, second) = (
        cut(&stage, 60, "normal").await,
        cut(&stage, 60, "normal").await,
    );
    stage.send_queue.take();
    let small = cut(&stage, 2, "normal").await;
    let enqueued = stage.send_queue.take_batches();
    assert_eq!(enqueued.len(), 1);
    assert_eq!(enqueued[0].schedule_id, small.schedule_id);
    // All that is admitted is enqueued again, so that the rest of the test works it off.
    requeue(&stage).await;
    let (order, _) = work(&stage).await;
    let half = count(&order[..80]);
    let (one, other) = (half[&first.schedule_id], half[&second.schedule_id]);
    assert!(one.abs_diff(other) <= 4, "{one} and {other} of 80 batches");
    assert!(half[&small.schedule_id] == 2, "{half:?}");
}

/// Enqueues what is admitted, as after a purge.
async fn requeue(stage: &Stage) {
    stage.send_queue.take();
    stage.db.clock.advance(Duration::from_secs(11));
    sweep(stage).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn high_goes_first_and_bulk_gets_a_tenth(pool: MySqlPool) {
    let stage = stage(pool).await;
    limit(&stage, 10).await;
    let normal = cut(&stage, 100, "normal").await;
    let bulk = cut(&stage, 40, "bulk").await;
    let more_bulk = cut(&stage, 40, "bulk").await;
    assert_eq!(
        stage.send_queue.take().len(),
        4,
        "no bulk batch beside a backlog"
    );
    let high = cut(&stage, 6, "high").await;
    let at_once = stage.send_queue.take_batches();
    assert_eq!(at_once.len(), 4);
    assert!(
        at_once
            .iter()
            .all(|batch| batch.schedule_id == high.schedule_id)
    );
    for batch in at_once {
        end(&stage, batch).await;
    }
    let next = stage.send_queue.take_batches();
    assert_eq!(next[0].schedule_id, high.schedule_id, "before all others");
    requeue(&stage).await;
    let (order, _) = work(&stage).await;
    let share = count(&order[..100]);
    let bulk = share.get(&bulk.schedule_id).unwrap_or(&0)
        + share.get(&more_bulk.schedule_id).unwrap_or(&0);
    assert!((8..=12).contains(&bulk), "{bulk} of 100 batches are bulk");
    assert!(share[&normal.schedule_id] >= 80);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn cancelled_schedules_close_before_others_send(pool: MySqlPool) {
    let stage = stage(pool).await;
    limit(&stage, 10).await;
    cut(&stage, 40, "high").await;
    stage.send_queue.take();
    let cancelled = fixture::Schedule {
        status: "cancelled",
        recipients: 200,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(&stage, cancelled, DispatchedBy::Queue).await;
    let closing = stage.send_queue.take_batches();
    assert_eq!(closing.len(), 30, "one and a half times SEND_CONCURRENCY");
    assert!(
        closing
            .iter()
            .all(|batch| batch.schedule_id == cancelled.schedule_id)
    );
    for batch in closing {
        stage.send(batch).await;
    }
    for _ in 0..3 {
        stage.work().await;
    }
    let open = fixture::count(&stage.db, cancelled.schedule_id, "PENDING").await;
    assert_eq!(open, 0);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_cut_ahead_of_time_is_enqueued_with_its_delay(pool: MySqlPool) {
    let mut stage = stage(pool).await;
    stage.dispatcher.settings.lead = TimeDelta::seconds(20);
    for run_in_s in [19, 21, 23, 25, 29] {
        let schedule = fixture::Schedule {
            run_in_s,
            ..Default::default()
        }
        .insert(&stage.db)
        .await;
        dispatch(&stage, schedule, DispatchedBy::EventBridge).await;
        let messages = stage.send_queue.take();
        assert_eq!(messages.len(), 1, "{run_in_s}");
        let early = run_in_s as u32 - messages[0].delay_s;
        assert!(early <= 2, "{run_in_s}: {messages:?}");
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn small_schedules_one_after_the_other_do_not_wait_for_each_other(pool: MySqlPool) {
    let mut stage = stage(pool).await;
    stage.dispatcher.settings.lead = TimeDelta::seconds(20);
    sqlx::query("UPDATE carriers SET open_slots = 4")
        .execute(&stage.db)
        .await
        .unwrap();
    // Four in each second, more than there are slots in two seconds. Those before are sent by then.
    for at in 0..60 {
        let schedule = fixture::Schedule {
            run_in_s: 4 + at / 4,
            ..Default::default()
        }
        .insert(&stage.db)
        .await;
        dispatch(&stage, schedule, DispatchedBy::EventBridge).await;
        assert_eq!(stage.send_queue.take().len(), 1, "schedule {at}");
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn batches_with_resends_only_do_not_take_the_slots_of_full_ones(pool: MySqlPool) {
    let stage = stage(pool).await;
    cut(&stage, 60, "normal").await;
    stage.send_queue.take();
    // Messages of twenty batches are to be sent again, one or a few of each.
    sqlx::query("UPDATE batches SET waiting = 0, pending = 0, send_at = UTC_TIMESTAMP(3) WHERE batch_no <= 20")
        .execute(&stage.db)
        .await
        .unwrap();
    stage.dispatcher.admission.admit().await.unwrap();
    let admitted = stage.send_queue.take_batches();
    assert_eq!(
        admitted.len(),
        4,
        "twenty recipients take half of 8 slots of 5"
    );
    assert_turns(&stage).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_turn_that_is_missing_is_opened_by_the_sweep(pool: MySqlPool) {
    let stage = stage(pool).await;
    cut(&stage, 20, "normal").await;
    sqlx::query("DELETE FROM turns")
        .execute(&stage.db)
        .await
        .unwrap();
    for batch in stage.send_queue.take_batches() {
        end(&stage, batch).await;
    }
    assert!(stage.send_queue.take().is_empty(), "nobody is in turn");
    sweep(&stage).await;
    assert_turns(&stage).await;
    assert_eq!(stage.send_queue.take().len(), 8);
}
