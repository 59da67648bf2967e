//! A number that is changed after a pass has read it, and before its first mark. Random calls hardly
//! ever meet that moment; here a lock on the budget's row holds the pass there, which reserves between
//! the two.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::json;
use sqlx::{MySqlPool, Row};
use testkit::fixture;

use super::{
    budget::ENOUGH,
    lifecycle::Lifecycle,
    limits::{LimitStep, Limits},
    states::{Call, Step, What},
};

/// Waits until a pass has claimed its batch and waits for a lock.
async fn reservation_waits(pool: &MySqlPool) {
    for _ in 0..1_000 {
        let claimed = "SELECT COUNT(*) FROM batches WHERE claim_token IS NOT NULL";
        let claimed: i64 = sqlx::query_scalar(claimed).fetch_one(pool).await.unwrap();
        let waits = sqlx::query("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
        let waits: String = waits.fetch_one(pool).await.unwrap().get(1);
        if claimed > 0 && waits != "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no pass reserves");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_number_that_is_changed_between_its_read_and_its_mark_gets_nothing(pool: MySqlPool) {
    let mut lifecycle = Lifecycle::new(&pool, false, Limits::of(false, true)).await;
    for step in [
        Step::Call(Call::Activate),
        Step::Limit(LimitStep::Budget(ENOUGH)),
        Step::Wait(100),
        Step::Sweep,
    ] {
        lifecycle.step(&step).await.unwrap();
    }
    sqlx::query("INSERT INTO spending (budget_id, period_start) SELECT id, ? FROM budgets")
        .bind(lifecycle.stage.db.now().date_naive())
        .execute(&pool)
        .await
        .unwrap();
    let batches = lifecycle.stage.send_queue.take_batches();
    let first = batches.into_iter().find(|batch| batch.batch_no == 1);
    let (seq, number) = (2, lifecycle.model.new_number());
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("SELECT used FROM spending FOR UPDATE")
        .fetch_all(&mut *lock)
        .await
        .unwrap();
    let change = async {
        reservation_waits(&pool).await;
        let body = json!({"phone": fixture::phone(number)});
        let path = format!("/recipients/{seq}");
        let changed = lifecycle.http(Method::PATCH, &path, &body).await;
        lock.rollback().await.unwrap();
        changed
    };
    let ((), (status, answer)) = tokio::join!(lifecycle.stage.send(first.unwrap()), change);
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["in_time"], true, "{answer}");
    assert_eq!(lifecycle.accepted(), 0, "the pass has lost its batch");
    let changed = lifecycle.model.recipients.get_mut(&seq).unwrap();
    changed.apply(What::Number, number);
    lifecycle.check_end().await.unwrap();
}
