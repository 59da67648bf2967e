//! A release without any webhook executes the statements of a product without webhooks, and changes
//! no row for them.

use std::time::Duration;

use dispatch::DispatchedBy;
use shared::{
    batch::{
        release::PassResult,
        worker::{Claimed, Work},
    },
    platform::{budget::Budget, queue::BatchMessage},
};
use simulator::Settings;
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};
use testkit::{INVOCATION, Stage, fixture};

/// Statements and transactions of a session.
#[derive(Debug, PartialEq, Eq)]
struct Spent {
    statements: i64,
    transactions: i64,
}

/// Returns a counter of the session, by which MySQL counts its statements.
async fn session_status(stage: &Stage, name: &str) -> i64 {
    let sql = format!("SHOW SESSION STATUS WHERE Variable_name = '{name}'");
    let row: (String, String) = sqlx::query_as(&sql).fetch_one(&stage.db).await.unwrap();
    row.1.parse().unwrap()
}

/// Sends a batch, claims it for a recheck, and sets its recipients DELIVRD.
async fn deliver(stage: &Stage, batch: BatchMessage) -> Claimed {
    let db = &stage.db;
    stage.send(batch).await;
    db.clock.advance(Duration::from_secs(6));
    let worker = &stage.rechecker.worker;
    let claimed = worker.claim(batch, Work::Check, Budget::new(INVOCATION));
    let mut claimed = claimed.await.unwrap().unwrap();
    let sql = "UPDATE recipients SET status = 'DELIVRD', final_at = ? WHERE schedule_id = ? AND seq BETWEEN ? AND ?";
    sqlx::query(sql)
        .bind(db.now())
        .bind(batch.schedule_id)
        .bind(claimed.batch.first_seq)
        .bind(claimed.batch.last_seq)
        .execute(db)
        .await
        .unwrap();
    claimed.rows.clear();
    claimed
}

async fn release(stage: &Stage, claimed: &Claimed) -> Spent {
    let statements = session_status(stage, "Com_stmt_execute").await;
    let transactions = session_status(stage, "Com_begin").await;
    let worker = &stage.rechecker.worker;
    worker
        .release(
            claimed,
            PassResult::Checked {
                least_delay: chrono::TimeDelta::zero(),
            },
        )
        .await
        .unwrap();
    Spent {
        // Two of them are queries of the counters.
        statements: session_status(stage, "Com_stmt_execute").await - statements - 2,
        transactions: session_status(stage, "Com_begin").await - transactions,
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn without_a_webhook_a_release_executes_no_extra_statement(pool: MySqlPool) {
    // One connection, so that the session's counters count everything.
    let one = MySqlPoolOptions::new().max_connections(1);
    let pool = one
        .connect_with((*pool.connect_options()).clone())
        .await
        .unwrap();
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule {
        recipients: 10,
        ..Default::default()
    };
    let message = schedule.insert(&stage.db).await;
    stage
        .dispatcher
        .dispatch(message, DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = |batch_no| BatchMessage {
        schedule_id: message.schedule_id,
        batch_no,
    };
    let expected = Spent {
        statements: 2,
        transactions: 0,
    };
    let claimed = deliver(&stage, batch(1)).await;
    let first = release(&stage, &claimed).await;
    assert_eq!(first, expected, "the release, and the read of what it set");
    let claimed = deliver(&stage, batch(2)).await;
    let last = release(&stage, &claimed).await;
    assert_eq!(last.transactions, 1, "the last one finishes the schedule");
    let status = fixture::status(&stage.db, message.schedule_id).await;
    assert_eq!(status, "finished");
    let marked: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM recipients WHERE final_event IS NOT NULL")
            .fetch_one(&stage.db)
            .await
            .unwrap();
    assert_eq!(marked, 0);
    assert!(stage.notify_queue.take().is_empty());
}
