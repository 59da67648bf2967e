//! Retention of personal data: what is erased, when, and that a sweep that ends in the middle is
//! continued.

use std::cell::Cell;

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::{
    DispatchedBy,
    personal_data::{Erased, STEP},
};
use shared::{
    platform::queue::DispatchMessage,
    schedule::{erasure::ErasedValues, lifecycle::reopen_schedule},
};
use sqlx::MySqlPool;
use testkit::{Stage, columns_with, fixture};
use uuid::Uuid;

use crate::{dispatch, stage};

const DAYS: u32 = 30;

async fn execute(stage: &Stage, id: Uuid, sql: &str) {
    let done = sqlx::query(sql).bind(id).execute(&stage.db).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn scalar(stage: &Stage, sql: &str, id: Uuid) -> i64 {
    let found = sqlx::query_scalar(sql).bind(id).fetch_one(&stage.db).await;
    found.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn erasing(pool: &MySqlPool) -> Stage {
    let mut stage = stage(pool.clone()).await;
    stage.dispatcher.personal_data.retain_days = DAYS;
    stage
}

/// Inserts a schedule that finished `days` ago: each recipient was delivered, with variables, a
/// reference, and an earlier attempt.
async fn finished(stage: &Stage, recipients: u32, days: i64) -> DispatchMessage {
    let schedule = fixture::Schedule {
        recipients,
        ..Default::default()
    };
    let schedule = schedule.insert(&stage.db).await;
    dispatch(stage, schedule, DispatchedBy::Queue).await;
    let id = schedule.schedule_id;
    for sql in [
        "UPDATE recipients SET status = 'DELIVRD', attempt = 2, id_start = 'carrier-id', error = CONCAT('was ', phone), sent_at = UTC_TIMESTAMP(3),
           final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?",
        "INSERT INTO recipient_variables (schedule_id, seq, variables) SELECT schedule_id, seq, '{\"name\":\"Ana\"}' FROM recipients WHERE schedule_id = ?",
        "INSERT INTO recipient_references (schedule_id, seq, reference, group_name)
           SELECT schedule_id, seq, 'R-Ana', IF(seq % 2, 'north', NULL) FROM recipients WHERE schedule_id = ?",
        "INSERT INTO attempts (schedule_id, seq, attempt, status, message_id, sent_at)
           SELECT schedule_id, seq, 1, 'ACCEPTD', 'first-id', UTC_TIMESTAMP(3) FROM recipients WHERE schedule_id = ?",
        "UPDATE batches SET send_at = NULL, check_at = NULL, sweep_at = NULL, waiting = 0, pending = 0, delivrd = last_seq - first_seq + 1
           WHERE schedule_id = ?",
    ] {
        execute(stage, id, sql).await;
    }
    let ended = stage.db.now() - TimeDelta::days(days);
    set_end(stage, id, ended).await;
    schedule
}

async fn set_end(stage: &Stage, id: Uuid, ended: DateTime<Utc>) {
    let sql = "UPDATE schedules SET status = 'finished', finished_at = ?, run_at = ?, created_at = ? WHERE id = ?";
    let update = sqlx::query(sql)
        .bind(ended)
        .bind(ended)
        .bind(ended)
        .bind(id);
    update.execute(&stage.db).await.unwrap();
}

async fn erase(stage: &Stage) -> Erased {
    stage.dispatcher.erase_personal_data(|| true).await.unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_over_for_long_enough_is_erased_and_its_counts_remain(pool: MySqlPool) {
    let stage = erasing(&pool).await;
    let old = finished(&stage, 7, i64::from(DAYS) + 1).await.schedule_id;
    let young = finished(&stage, 3, i64::from(DAYS) - 1).await.schedule_id;
    let erased = erase(&stage).await;
    let values = ErasedValues {
        recipients: 7,
        attempts: 7,
        variables: 7,
        references: 7,
    };
    assert_eq!(
        erased,
        Erased {
            schedules: 1,
            values
        }
    );
    let left = "SELECT COUNT(*) FROM recipients WHERE schedule_id = ? AND (phone LIKE '+%' OR id_start <> 'erased' OR error <> 'erased')";
    assert_eq!(scalar(&stage, left, old).await, 0);
    assert_eq!(scalar(&stage, left, young).await, 3);
    assert_eq!(fixture::count(&stage.db, old, "DELIVRD").await, 7);
    fixture::assert_counts(&stage.db, old).await;
    let groups = "SELECT COUNT(*) FROM recipient_references WHERE schedule_id = ? AND reference IS NULL AND group_name = 'north'";
    assert_eq!(scalar(&stage, groups, old).await, 4);
    let different = "SELECT COUNT(DISTINCT phone) FROM recipients WHERE schedule_id = ?";
    assert_eq!(scalar(&stage, different, old).await, 7);
    let text = "SELECT COUNT(*) FROM schedules WHERE id = ? AND message = '' AND personal_data_erased_at IS NOT NULL";
    assert_eq!(
        (
            scalar(&stage, text, old).await,
            scalar(&stage, text, young).await
        ),
        (1, 0)
    );
    // The hash is that of the number.
    let keys = stage.dispatcher.personal_data.keys.current();
    let hash = keys.person_hash(&fixture::phone(1));
    let found: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM recipients WHERE phone = ? AND schedule_id = ?")
            .bind(hash)
            .bind(old)
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(found, 1);
    let alone = fixture::phone(7);
    assert_eq!(columns_with(&pool, &alone[1..]).await, Vec::<String>::new());
    assert_eq!(
        erase(&stage).await,
        Erased::default(),
        "nothing is erased twice"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nothing_is_erased_while_something_is_left_to_do(pool: MySqlPool) {
    let stage = erasing(&pool).await;
    let id = finished(&stage, 3, 100).await.schedule_id;
    let mut off = erasing(&pool).await;
    off.dispatcher.personal_data.retain_days = 0;
    assert_eq!(erase(&off).await, Erased::default(), "0 keeps all");
    for (open, closed) in [
        ("uncertain = 1", "uncertain = 0"),
        (
            "check_at = UTC_TIMESTAMP(3), sweep_at = UTC_TIMESTAMP(3)",
            "check_at = NULL, sweep_at = NULL",
        ),
    ] {
        let set = |what| format!("UPDATE batches SET {what} WHERE schedule_id = ? LIMIT 1");
        execute(&stage, id, &set(open)).await;
        assert_eq!(erase(&stage).await, Erased::default(), "{open}");
        execute(&stage, id, &set(closed)).await;
    }
    for status in ["running", "missed"] {
        let set =
            format!("UPDATE schedules SET status = '{status}', finished_at = NULL WHERE id = ?");
        execute(&stage, id, &set).await;
        assert_eq!(erase(&stage).await, Erased::default(), "{status}");
    }
    execute(
        &stage,
        id,
        "UPDATE schedules SET status = 'cancelled' WHERE id = ?",
    )
    .await;
    assert_eq!(erase(&stage).await.schedules, 1);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_sweep_that_ends_in_the_middle_is_continued(pool: MySqlPool) {
    let stage = erasing(&pool).await;
    let id = finished(&stage, STEP + 5, 100).await.schedule_id;
    let steps = Cell::new(0);
    let one_step = || steps.replace(steps.get() + 1) < 1;
    let first = stage
        .dispatcher
        .erase_personal_data(one_step)
        .await
        .unwrap();
    assert_eq!((first.schedules, first.values.recipients), (0, STEP.into()));
    let texts = "SELECT COUNT(*) FROM schedules WHERE id = ? AND message <> '' AND personal_data_erased_at IS NULL";
    assert_eq!(
        scalar(&stage, texts, id).await,
        1,
        "the text is erased last"
    );
    // A late receipt makes it run again: the erasure waits.
    let mut connection = stage.db.acquire().await.unwrap();
    reopen_schedule(&mut connection, id).await.unwrap();
    drop(connection);
    assert_eq!(erase(&stage).await, Erased::default());
    set_end(&stage, id, stage.db.now() - TimeDelta::days(100)).await;
    let (one, other) = tokio::join!(erase(&stage), erase(&stage));
    assert_eq!(one.schedules + other.schedules, 1, "two sweeps at once");
    assert_eq!(one.values.recipients + other.values.recipients, 5);
    assert_eq!(scalar(&stage, texts, id).await, 0);
}
