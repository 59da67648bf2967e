//! Many requests of one number in flight: how many a crash leaves, and a database that stalls.

use std::time::Duration;

use shared::platform::queue::BatchMessage;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture};

use crate::{dispatch, set_names};

/// Cuts a schedule in which each recipient gets a text of its own, so each is a request.
async fn cut_personal(stage: &mut Stage, recipients: u32) -> BatchMessage {
    stage.dispatcher.settings.batch_size = recipients;
    let message = fixture::Schedule {
        recipients,
        message: "Good morning, {{name}}",
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let names: Vec<_> = (1..=recipients)
        .map(|seq| (seq, format!("n{seq}")))
        .collect();
    let names: Vec<_> = names
        .iter()
        .map(|(seq, name)| (*seq, name.as_str()))
        .collect();
    set_names(&stage.db, message.schedule_id, &names).await;
    dispatch(stage, message).await;
    stage.send_queue.take_batches()[0]
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_crash_leaves_at_most_the_numbers_in_flight_uncertain(pool: MySqlPool) {
    let settings = Settings {
        hang_after_accept: 1.0,
        ..Settings::default()
    };
    let mut stage = Stage::new(pool, settings).await;
    let batch = cut_personal(&mut stage, 300).await;
    let count = async |status| fixture::count(&stage.db, batch.schedule_id, status).await;
    let killed = tokio::time::timeout(Duration::from_secs(1), stage.send(batch)).await;
    assert!(killed.is_err());
    assert_eq!(count("SENDING").await, 200);
    stage.simulator.carrier().set(Settings::default()).unwrap();
    stage.db.clock.advance(INVOCATION + Duration::from_secs(11));
    stage.send(batch).await;
    assert_eq!(count("UNCERTAIN").await, 200);
    assert_eq!(count("ACCEPTD").await, 100);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn answers_that_arrive_while_the_database_stalls_are_recorded(pool: MySqlPool) {
    let settings = Settings {
        latency_ms: 100,
        latency_jitter_ms: 1_200,
        ..Settings::default()
    };
    let mut stage = Stage::new(pool.clone(), settings).await;
    let batch = cut_personal(&mut stage, 40).await;
    // Longer than the carrier's timeout, with most of the requests in flight.
    let stall = async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("SELECT seq FROM recipients WHERE schedule_id = ? FOR UPDATE")
            .bind(batch.schedule_id)
            .execute(&mut *transaction)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        transaction.rollback().await.unwrap();
    };
    tokio::join!(stage.send(batch), stall);
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        40
    );
}
