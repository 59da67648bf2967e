//! Summaries of finished schedules: what they count, and that they survive crashes.

use std::cell::Cell;

use dispatch::{
    DispatchedBy,
    summary::{Durations, Summary, store},
};
use shared::{
    platform::queue::DispatchMessage,
    schedule::lifecycle::{self, reopen_schedule},
};
use sqlx::{FromRow, MySqlPool};
use testkit::{Stage, fixture};
use uuid::Uuid;

use crate::{dispatch, stage, sweep};

/// The row of a summary.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
struct Row {
    finishes: u32,
    next_batch: u32,
    is_done: bool,
    due_to_sent_count: Option<u32>,
    due_to_sent_p50_ms: Option<u64>,
    due_to_sent_p99_ms: Option<u64>,
    due_to_sent_max_ms: Option<u64>,
    sent_to_final_count: Option<u32>,
    sent_to_final_p50_ms: Option<u64>,
    sent_to_final_p99_ms: Option<u64>,
    sent_to_final_max_ms: Option<u64>,
}

impl Row {
    fn due_to_sent(&self) -> [Option<u64>; 4] {
        [
            self.due_to_sent_count.map(u64::from),
            self.due_to_sent_p50_ms,
            self.due_to_sent_p99_ms,
            self.due_to_sent_max_ms,
        ]
    }

    fn sent_to_final(&self) -> [Option<u64>; 4] {
        [
            self.sent_to_final_count.map(u64::from),
            self.sent_to_final_p50_ms,
            self.sent_to_final_p99_ms,
            self.sent_to_final_max_ms,
        ]
    }
}

async fn row(stage: &Stage, id: Uuid) -> Option<Row> {
    let sql =
        "SELECT *, done_at IS NOT NULL AS is_done FROM schedule_summaries WHERE schedule_id = ?";
    let row = sqlx::query_as(sql).bind(id).fetch_optional(&stage.db);
    row.await.unwrap()
}

async fn execute(stage: &Stage, id: Uuid, sql: &str) {
    let done = sqlx::query(sql).bind(id).execute(&stage.db).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Inserts and cuts a schedule of batches of five recipients, each planned for a second of its own.
async fn cut(stage: &Stage, recipients: u32) -> DispatchMessage {
    let schedule = fixture::Schedule {
        recipients,
        rate: Some(5),
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    dispatch(stage, schedule, DispatchedBy::Queue).await;
    schedule
}

/// Ends all batches of a schedule, and the schedule.
async fn finish(stage: &Stage, id: Uuid) {
    let sql = "UPDATE batches SET send_at = NULL, check_at = NULL, sweep_at = NULL, waiting = 0, pending = 0 WHERE schedule_id = ?";
    execute(stage, id, sql).await;
    let finished = lifecycle::finish(&stage.db, id).await.unwrap();
    assert!(finished.is_some());
}

/// Recipient *n* was sent to n² milliseconds after its planned time, and its message was final n
/// seconds later.
const SQUARES: &str = "UPDATE recipients r JOIN batches b ON b.schedule_id = r.schedule_id AND r.seq BETWEEN b.first_seq AND b.last_seq
    SET r.status = 'DELIVRD', r.attempt = 1, r.id_start = 'm', r.sent_at = b.planned_at + INTERVAL r.seq * r.seq * 1000 MICROSECOND,
      r.final_at = b.planned_at + INTERVAL (r.seq * r.seq + r.seq * 1000) * 1000 MICROSECOND WHERE r.schedule_id = ?";

/// Returns a finished schedule of so many recipients, as [`SQUARES`] says.
async fn finished(stage: &Stage, recipients: u32) -> Uuid {
    let id = cut(stage, recipients).await.schedule_id;
    execute(stage, id, SQUARES).await;
    finish(stage, id).await;
    id
}

/// Asserts the summary of [`SQUARES`].
fn assert_squares(row: &Row, recipients: u64) {
    assert!(row.is_done, "{row:?}");
    let of_rank = |percent: u64| (recipients * percent).div_ceil(100);
    let expected = [50, 99, 100].map(of_rank);
    for (found, expected) in [
        (row.due_to_sent(), expected.map(|n| n * n)),
        (row.sent_to_final(), expected.map(|n| n * 1000)),
    ] {
        let [count, p50, p99, max] = found.map(|value| value.unwrap());
        assert_eq!((count, max), (recipients, expected[2]));
        for (found, expected) in [(p50, expected[0]), (p99, expected[1])] {
            let error = (found as f64 / expected as f64 - 1.0).abs();
            assert!(error < 0.05, "{found} for {expected}");
        }
    }
}

/// Computes summaries, and stops after so many parts, as a sweep that is killed.
async fn compute_parts(stage: &Stage, parts: u32) {
    let asked = Cell::new(0);
    let has_time = || {
        asked.set(asked.get() + 1);
        asked.get() <= parts
    };
    stage.dispatcher.compute_summaries(&has_time).await.unwrap();
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_that_was_sent_gets_a_summary_in_the_next_sweep(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    dispatch(&stage, schedule, DispatchedBy::Queue).await;
    let id = schedule.schedule_id;
    assert_eq!(row(&stage, id).await, None, "it runs");
    stage.play().await;
    assert_eq!(fixture::status(&stage.db, id).await, "finished");
    let requested = row(&stage, id).await.unwrap();
    assert_eq!((requested.is_done, requested.next_batch), (false, 1));
    // By this the API knows that the summary is of the last finish.
    let sql = "SELECT COUNT(*) FROM schedule_summaries y JOIN schedules s ON s.id = y.schedule_id AND s.finished_at = y.requested_at";
    let of_last: i64 = sqlx::query_scalar(sql).fetch_one(&stage.db).await.unwrap();
    assert_eq!(of_last, 1);
    sweep(&stage).await;
    let row = row(&stage, id).await.unwrap();
    assert!(row.is_done);
    assert_eq!(row.due_to_sent_count, Some(3));
    assert_eq!(row.sent_to_final_count, Some(3));
    assert!(row.due_to_sent_max_ms >= row.due_to_sent_p99_ms);
    // `play` advances the clock by a minute between send and recheck.
    assert!(row.sent_to_final_p50_ms >= Some(50_000), "{row:?}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_summary_of_several_parts_is_within_5_percent(pool: MySqlPool) {
    let stage = stage(pool).await;
    let id = finished(&stage, 1_003).await;
    sweep(&stage).await;
    assert_squares(&row(&stage, id).await.unwrap(), 1_003);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_computation_that_was_killed_goes_on_where_it_ended(pool: MySqlPool) {
    let stage = stage(pool).await;
    let id = finished(&stage, 1_100).await;
    compute_parts(&stage, 1).await;
    let killed = row(&stage, id).await.unwrap();
    assert_eq!((killed.is_done, killed.next_batch), (false, 101));
    // Were the first part read again, its messages would be missing.
    execute(
        &stage,
        id,
        "UPDATE recipients SET status = 'UNCERTAIN', id_start = NULL, final_at = NULL WHERE schedule_id = ? AND seq <= 500",
    )
    .await;
    sweep(&stage).await;
    assert_squares(&row(&stage, id).await.unwrap(), 1_100);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn two_sweeps_at_once_count_each_message_once(pool: MySqlPool) {
    let stage = stage(pool).await;
    let id = finished(&stage, 1_100).await;
    let compute = || stage.dispatcher.compute_summaries(&|| true);
    let (first, second) = tokio::join!(compute(), compute());
    first.unwrap();
    second.unwrap();
    // If both lost parts to each other, the next sweep completes it.
    sweep(&stage).await;
    assert_squares(&row(&stage, id).await.unwrap(), 1_100);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_that_finishes_again_gets_a_new_summary(pool: MySqlPool) {
    let stage = stage(pool).await;
    let id = finished(&stage, 600).await;
    compute_parts(&stage, 1).await;
    let reopen = async || {
        let mut connection = stage.db.acquire().await.unwrap();
        reopen_schedule(&mut connection, id).await.unwrap();
    };
    reopen().await;
    stage.dispatcher.compute_summaries(&|| true).await.unwrap();
    let begun = row(&stage, id).await.unwrap();
    assert_eq!((begun.is_done, begun.next_batch), (false, 101), "it runs");
    finish(&stage, id).await;
    let again = row(&stage, id).await.unwrap();
    assert_eq!((again.finishes, again.next_batch), (2, 1));
    sweep(&stage).await;
    assert_squares(&row(&stage, id).await.unwrap(), 600);
    // Now a complete one.
    reopen().await;
    let later = "UPDATE recipients SET final_at = sent_at + INTERVAL 1 HOUR WHERE schedule_id = ?";
    execute(&stage, id, later).await;
    finish(&stage, id).await;
    let again = row(&stage, id).await.unwrap();
    assert_eq!((again.finishes, again.is_done), (3, false));
    sweep(&stage).await;
    let max_ms = row(&stage, id).await.unwrap().sent_to_final_max_ms;
    assert_eq!(max_ms, Some(3_600_000));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_was_computed_for_an_earlier_finish_is_not_written(pool: MySqlPool) {
    let stage = stage(pool).await;
    let id = finished(&stage, 10).await;
    let of = |finishes, next_batch| Summary {
        schedule_id: id,
        finishes,
        next_batch,
        durations: Durations::default(),
    };
    let db = &stage.db;
    for stale in [of(0, 1), of(2, 1), of(1, 2)] {
        assert!(!store::save(db, &stale, 3).await.unwrap(), "{stale:?}");
        assert!(!store::complete(db, &stale, db.now()).await.unwrap());
    }
    assert!(store::save(db, &of(1, 1), 3).await.unwrap());
    assert!(store::complete(db, &of(1, 3), db.now()).await.unwrap());
    assert!(!store::save(db, &of(1, 3), 4).await.unwrap(), "it is done");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_to_which_nothing_was_sent_has_an_empty_summary(pool: MySqlPool) {
    let stage = stage(pool).await;
    let empty = cut(&stage, 0).await.schedule_id;
    let cancelled = cut(&stage, 7).await.schedule_id;
    let sql = "UPDATE recipients SET status = 'CANCELLED', final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?";
    execute(&stage, cancelled, sql).await;
    finish(&stage, cancelled).await;
    sweep(&stage).await;
    for id in [empty, cancelled] {
        let row = row(&stage, id).await.unwrap();
        assert!(row.is_done);
        for found in [row.due_to_sent(), row.sent_to_final()] {
            assert_eq!(found, [Some(0), None, None, None]);
        }
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_missed_schedule_has_no_summary(pool: MySqlPool) {
    let stage = stage(pool).await;
    let id = cut(&stage, 5).await.schedule_id;
    let sql = "UPDATE batches SET missed_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?";
    execute(&stage, id, sql).await;
    finish(&stage, id).await;
    assert_eq!(fixture::status(&stage.db, id).await, "missed");
    sweep(&stage).await;
    assert_eq!(row(&stage, id).await, None);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn only_what_is_known_of_accepted_messages_counts(pool: MySqlPool) {
    let stage = stage(pool).await;
    for (what, recipient, due, fin) in [
        ("delivered", "status = 'DELIVRD'", Some(2_000), Some(8_000)),
        (
            "undelivered",
            "status = 'UNDELIV'",
            Some(2_000),
            Some(8_000),
        ),
        (
            "rejected later",
            "status = 'REJECTD'",
            Some(2_000),
            Some(8_000),
        ),
        ("closed", "status = 'UNKNOWN'", Some(2_000), None),
        ("refused", "status = 'REJECTD', id_start = NULL", None, None),
        (
            "answer lost",
            "status = 'UNCERTAIN', id_start = NULL, final_at = NULL",
            None,
            None,
        ),
        (
            "resolved",
            "status = 'UNKNOWN', id_start = NULL",
            None,
            None,
        ),
        (
            "ended before a resend",
            "status = 'EXPIRED', id_start = NULL, error = 'send-until'",
            None,
            None,
        ),
        (
            "planned anew",
            "status = 'DELIVRD', sent_at = sent_at - INTERVAL 4 SECOND",
            None,
            Some(12_000),
        ),
        (
            "clocks differ",
            "status = 'DELIVRD', sent_at = sent_at - INTERVAL 2500000 MICROSECOND",
            Some(0),
            Some(10_500),
        ),
        (
            "sent again",
            "status = 'DELIVRD', attempt = 2, resends = 1, sent_at = sent_at + INTERVAL 5 SECOND",
            Some(1_000),
            Some(3_000),
        ),
    ] {
        let id = cut(&stage, 1).await.schedule_id;
        let sent =
            "UPDATE recipients r JOIN batches b ON b.schedule_id = r.schedule_id SET r.attempt = 1, r.id_start = 'm',
               r.status = 'DELIVRD', r.sent_at = b.planned_at + INTERVAL 2 SECOND, r.final_at = b.planned_at + INTERVAL 10 SECOND
             WHERE r.schedule_id = ?";
        execute(&stage, id, sent).await;
        let attempt = "INSERT INTO attempts (schedule_id, seq, attempt, status, sent_at, final_at)
            SELECT schedule_id, 1, 1, 'UNDELIV', planned_at + INTERVAL 1 SECOND, planned_at + INTERVAL 3 SECOND FROM batches WHERE schedule_id = ?";
        execute(&stage, id, attempt).await;
        execute(
            &stage,
            id,
            &format!("UPDATE recipients SET {recipient} WHERE schedule_id = ?"),
        )
        .await;
        finish(&stage, id).await;
        sweep(&stage).await;
        let row = row(&stage, id).await.unwrap();
        assert_eq!(row.due_to_sent_max_ms, due, "{what}");
        assert_eq!(row.sent_to_final_max_ms, fin, "{what}");
        let counts = [row.due_to_sent_count, row.sent_to_final_count];
        let expected = [due, fin].map(|known| u32::from(known.is_some()));
        assert_eq!(counts, expected.map(Some), "{what}");
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn one_sweep_computes_many_summaries(pool: MySqlPool) {
    let stage = stage(pool).await;
    let mut ids = Vec::new();
    // More than are computed in turn.
    for _ in 0..25 {
        ids.push(finished(&stage, 3).await);
    }
    sweep(&stage).await;
    for id in ids {
        assert_squares(&row(&stage, id).await.unwrap(), 3);
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn histograms_that_cannot_be_read_are_computed_anew(pool: MySqlPool) {
    let stage = stage(pool).await;
    let unreadable = finished(&stage, 600).await;
    compute_parts(&stage, 1).await;
    let sql = "UPDATE schedule_summaries SET histograms = '[2]' WHERE schedule_id = ?";
    execute(&stage, unreadable, sql).await;
    let other = finished(&stage, 3).await;
    sweep(&stage).await;
    assert_squares(&row(&stage, other).await.unwrap(), 3);
    assert!(!row(&stage, unreadable).await.unwrap().is_done);
    sweep(&stage).await;
    assert_squares(&row(&stage, unreadable).await.unwrap(), 600);
}
