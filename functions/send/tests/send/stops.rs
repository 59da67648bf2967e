//! The conditions that stop a batch: refused credentials, a cancel, a pause, and lateness.

use std::time::Duration;

use shared::schedule::lifecycle;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::fixture;

use crate::{cut, five, three};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn refused_credentials_pause_the_schedule(pool: MySqlPool) {
    let (stage, batch) = cut(
        pool,
        Settings {
            unauthorized: true,
            ..Settings::default()
        },
        three(),
    )
    .await;
    stage.send(batch).await;
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "paused"
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    let reason: String = sqlx::query_scalar("SELECT pause_reason FROM schedules")
        .fetch_one(&stage.db)
        .await
        .unwrap();
    assert!(reason.contains("401 not authorized"), "{reason}");
    let row = fixture::batch(&stage.db, batch).await;
    assert!(
        row.send_at.is_some(),
        "it continues after a resume: {row:?}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_cancel_closes_recipients_that_were_not_sent_to(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    sqlx::query("UPDATE schedules SET status = 'cancelled'")
        .execute(&stage.db)
        .await
        .unwrap();
    stage.send(batch).await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await[0],
        "1 CANCELLED 0 0"
    );
    assert_eq!(stage.simulator.carrier().accepted(), 0);
    assert!(fixture::batch(&stage.db, batch).await.sweep_at.is_none());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_pause_takes_effect_inside_a_batch(pool: MySqlPool) {
    let settings = Settings {
        latency_ms: 400,
        ..Settings::default()
    };
    let (mut stage, batch) = cut(pool, settings, five()).await;
    stage.sender.settings.in_flight = 2;
    // Requests of one number.
    sqlx::query("UPDATE batches SET refusals = 2")
        .execute(&stage.db)
        .await
        .unwrap();
    let pause = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        lifecycle::pause(&stage.db, batch.schedule_id, "an operator")
            .await
            .unwrap();
    };
    tokio::join!(stage.send(batch), pause);
    assert_eq!(
        stage.simulator.carrier().accepted(),
        2,
        "two were in flight"
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        2
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_found_too_late_is_held_and_its_resends_continue(pool: MySqlPool) {
    let settings = Settings {
        undeliv_first_attempts: 1,
        ..Settings::default()
    };
    let schedule = fixture::Schedule {
        max_lateness_s: 60,
        ..three()
    };
    let (stage, batch) = cut(pool, settings, schedule).await;
    let count = async |status| fixture::count(&stage.db, batch.schedule_id, status).await;
    stage.send(batch).await;
    // One of the three recipients was not sent to, when an outage began.
    for sql in [
        "UPDATE recipients SET status = 'PENDING', attempt = 0, sent_at = NULL, id_start = NULL WHERE seq = 1",
        "UPDATE batches SET send_at = planned_at, sweep_at = planned_at",
    ] {
        sqlx::query(sql).execute(&stage.db).await.unwrap();
    }
    stage.db.clock.advance(Duration::from_secs(66));
    stage.send(batch).await;
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert!(lines[0].starts_with("1 PENDING"), "{lines:?}");
    let missed: bool = sqlx::query_scalar("SELECT missed_at IS NOT NULL FROM batches")
        .fetch_one(&stage.db)
        .await
        .unwrap();
    assert!(missed);
    stage.play().await;
    assert_eq!(count("DELIVRD").await, 2);
    assert_eq!(
        count("PENDING").await,
        1,
        "a message that is too late is not sent"
    );
    let status = fixture::status(&stage.db, batch.schedule_id).await;
    assert_eq!(status, "missed");
    let row = fixture::batch(&stage.db, batch).await;
    assert!(row.send_at.is_none() && row.sweep_at.is_none(), "{row:?}");
}
