//! Measures the retention of personal data: how many recipients it erases per second, how long its
//! longest transaction takes, and what it costs a list that is sent at the same time.
//!
//! `ROWS=5000000 cargo nextest run --workspace --test dispatch --run-ignored only --no-capture -E
//! 'test(the_rate_of_an_erasure)'`, with `DATABASE_URL`. The lists are sent in the order without,
//! with, with, without, so that a drift of the machine's speed affects both alike.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use dispatch::DispatchedBy;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};
use uuid::Uuid;

use crate::dispatch;

/// Recipients per old schedule, and of each list that is sent.
const LIST: u32 = 20_000;
/// Rows, if `ROWS` is not set.
const ROWS: u32 = 100_000;
/// Recipients of a batch.
const BATCH: u32 = 2_000;

/// Steps of an erasure.
#[derive(Default)]
struct Steps {
    recipients: u64,
    took: Duration,
    longest: Duration,
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
#[ignore = "measures; takes minutes"]
async fn the_rate_of_an_erasure_and_what_it_costs_sending(pool: MySqlPool) {
    let rows: u32 = std::env::var("ROWS").map_or(ROWS, |rows| rows.parse().unwrap());
    let mut stage = Stage::new(pool.clone(), Settings::default()).await;
    stage.dispatcher.personal_data.retain_days = 30;
    stage.dispatcher.settings.batch_size = BATCH;
    fill(&stage, rows).await;
    let mut took = [Duration::ZERO; 2];
    let mut steps = Steps::default();
    for is_erasing in [false, true, true, false] {
        let sending = send(&stage);
        took[usize::from(is_erasing)] += if is_erasing {
            let is_sent = Cell::new(false);
            let sent = async {
                let took = sending.await;
                is_sent.set(true);
                took
            };
            tokio::join!(
                sent,
                erase_as_a_sweep(&stage, &mut steps, || !is_sent.get())
            )
            .0
        } else {
            sending.await
        };
    }
    let beside = steps.recipients;
    let mut alone = Steps::default();
    erase(&stage, &mut alone, || true).await;
    let per_second = |count: f64, took: Duration| count / took.as_secs_f64();
    let [without, with] = took.map(|took| per_second(f64::from(2 * LIST), took));
    println!("{rows} old rows");
    println!(
        "sent without erasing: {without:.0}/s; with: {with:.0}/s; ratio {:.2}",
        with / without
    );
    println!("erased beside sending: {beside}");
    println!(
        "erased alone: {} in {:?}, {:.0}/s, longest step {:?}",
        alone.recipients,
        alone.took,
        per_second(alone.recipients as f64, alone.took),
        alone.longest
    );
    assert_eq!(beside + alone.recipients, u64::from(rows / LIST * LIST));
}

/// Inserts finished schedules, each a copy of the first.
async fn fill(stage: &Stage, rows: u32) {
    let first = fixture::Schedule {
        recipients: LIST,
        ..Default::default()
    };
    let id = first.insert(&stage.db).await.schedule_id;
    let ended = stage.db.now() - TimeDelta::days(100);
    for sql in [
        "UPDATE recipients SET status = 'DELIVRD', attempt = 1, id_start = '0190a0b0-c0d0-7080-8000-00000000000f', sent_at = UTC_TIMESTAMP(3),
           final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?",
        "INSERT INTO recipient_references (schedule_id, seq, reference, group_name)
           SELECT schedule_id, seq, CONCAT('R', seq), 'north' FROM recipients WHERE schedule_id = ? AND seq % 4 = 0",
    ] {
        sqlx::query(sql).bind(id).execute(&stage.db).await.unwrap();
    }
    let sql = "UPDATE schedules SET status = 'finished', batch_count = 0, dispatched_at = ?, finished_at = ?, run_at = ?, created_at = ? WHERE id = ?";
    let update = sqlx::query(sql)
        .bind(ended)
        .bind(ended)
        .bind(ended)
        .bind(ended)
        .bind(id);
    update.execute(&stage.db).await.unwrap();
    for _ in 1..rows / LIST {
        copy(stage, id).await;
    }
}

async fn copy(stage: &Stage, id: Uuid) {
    let copied = Uuid::now_v7();
    for sql in [
        "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s, on_uncertain,
           next_seq, recipient_count, batch_count, dispatched_at, finished_at, created_at)
         SELECT ?, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s, on_uncertain,
           next_seq, recipient_count, batch_count, dispatched_at, finished_at, created_at FROM schedules WHERE id = ?",
        "INSERT INTO recipients (schedule_id, seq, phone, status, attempt, id_start, sent_at, final_at)
         SELECT ?, seq, phone, status, attempt, id_start, sent_at, final_at FROM recipients WHERE schedule_id = ?",
        "INSERT INTO recipient_references (schedule_id, seq, reference, group_name)
         SELECT ?, seq, reference, group_name FROM recipient_references WHERE schedule_id = ?",
    ] {
        let insert = sqlx::query(sql).bind(copied).bind(id);
        insert.execute(&stage.db).await.unwrap();
    }
}

/// Sends a list, two batches at a time, and returns the time that this took.
async fn send(stage: &Stage) -> Duration {
    let list = fixture::Schedule {
        recipients: LIST,
        ..Default::default()
    };
    let schedule = list.insert(&stage.db).await;
    dispatch(stage, schedule, DispatchedBy::Queue).await;
    let begun = Instant::now();
    loop {
        let batches = stage.send_queue.take_batches();
        if batches.is_empty() {
            break;
        }
        for pair in batches.chunks(2) {
            match pair {
                [one, other] => {
                    tokio::join!(stage.send(*one), stage.send(*other));
                }
                [one] => stage.send(*one).await,
                _ => {}
            }
        }
    }
    let took = begun.elapsed();
    let sent = fixture::count(&stage.db, schedule.schedule_id, "ACCEPTD").await;
    assert_eq!(sent, i64::from(LIST), "all are sent");
    took
}

/// Erases with the rests of a sweep while `may_go_on`.
async fn erase_as_a_sweep(stage: &Stage, steps: &mut Steps, may_go_on: impl Fn() -> bool) {
    while may_go_on() {
        let dispatcher = &stage.dispatcher;
        let erased = dispatcher.erase_personal_data(&may_go_on).await.unwrap();
        steps.recipients += erased.values.recipients;
        if erased.values.recipients == 0 {
            break;
        }
    }
}

/// Erases step by step while `may_go_on`, until nothing is left.
async fn erase(stage: &Stage, steps: &mut Steps, may_go_on: impl Fn() -> bool) {
    while may_go_on() {
        let is_first = Cell::new(true);
        let begun = Instant::now();
        let one_step = || is_first.replace(false);
        let erased = stage
            .dispatcher
            .erase_personal_data(one_step)
            .await
            .unwrap();
        let took = begun.elapsed();
        if erased.schedules == 0 && erased.values.recipients == 0 {
            break;
        }
        steps.recipients += erased.values.recipients;
        steps.took += took;
        steps.longest = steps.longest.max(took);
    }
}
