//! Events of messages: each message is published once, when it will not be sent again, even if a
//! process crashes in between.

use std::time::Duration;

use api::resources::{schedules::store::moves, uncertain::store};
use shared::{
    batch::{release::PassResult, rows, worker::Work},
    events::EventType,
    message::status::Status,
    platform::budget::Budget,
    schedule::{event::record_event, lifecycle},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, fixture};

use crate::published::Published;

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_resent_message_is_published_after_its_last_attempt(pool: MySqlPool) {
    let published = Published::new(
        pool,
        Settings {
            undeliv_first_attempts: 1,
            ..Settings::default()
        },
    )
    .await;
    published.cut(fixture::Schedule::default()).await;
    published.stage.play().await;
    assert_eq!(
        published.messages().await,
        [["1 DELIVRD 2", "2 DELIVRD 2", "3 DELIVRD 2"]]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_status_recorded_before_a_crash_is_published_by_the_next_owner(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let batch = published.cut(fixture::Schedule::default()).await;
    let (stage, db) = (&published.stage, &published.stage.db);
    stage.send(batch).await;
    db.clock.advance(Duration::from_secs(6));
    let claimed = stage
        .rechecker
        .worker
        .claim(batch, Work::Check, Budget::new(INVOCATION))
        .await
        .unwrap()
        .unwrap();
    let updates = claimed.rows.iter().map(|row| rows::StatusUpdate {
        seq: row.seq,
        attempt: row.attempt,
        status: Status::Delivrd,
        carrier_status: Some("DELIVRD".into()),
        message_id: None,
        is_final: 1,
    });
    let updates: Vec<_> = updates.collect();
    let mut connection = db.acquire().await.unwrap();
    rows::record_status_updates(&mut connection, &claimed.claim, &updates, db.now())
        .await
        .unwrap();
    drop(connection);
    // The process ends here. Another worker claims the batch, finds no status to query, and
    // releases it.
    assert_eq!(published.events().await, ["schedule.started"]);
    db.clock.advance(INVOCATION + Duration::from_secs(11));
    stage.recheck(batch).await;
    assert_eq!(
        published.events().await,
        ["schedule.started", "messages.final", "schedule.finished"]
    );
    // The first worker resumes: its claim is lost, and it publishes nothing.
    stage
        .rechecker
        .worker
        .release(
            &claimed,
            PassResult::Checked {
                least_delay: chrono::TimeDelta::zero(),
            },
        )
        .await
        .unwrap();
    assert_eq!(published.events().await.len(), 3);
    assert_eq!(
        published.messages().await,
        [["1 DELIVRD 1", "2 DELIVRD 1", "3 DELIVRD 1"]]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn recipients_closed_by_a_cancel_are_published(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let batch = published.cut(fixture::Schedule::default()).await;
    let db = &published.stage.db;
    let mut connection = db.acquire().await.unwrap();
    moves::cancel_schedule(&mut connection, batch.schedule_id, None, db.now())
        .await
        .unwrap();
    record_event(
        &mut connection,
        EventType::ScheduleCancelled,
        batch.schedule_id,
        db.now(),
    )
    .await
    .unwrap();
    drop(connection);
    published.stage.send(batch).await;
    published.stage.send(batch).await;
    assert_eq!(
        published.messages().await,
        [["1 CANCELLED 0", "2 CANCELLED 0", "3 CANCELLED 0"]]
    );
    assert_eq!(
        published.events().await,
        ["schedule.started", "schedule.cancelled", "messages.final"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_message_resolved_as_sent_is_published_as_unknown(pool: MySqlPool) {
    let published = Published::new(
        pool,
        Settings {
            hang_after_accept: 1.0,
            ..Settings::default()
        },
    )
    .await;
    let batch = published
        .cut(fixture::Schedule {
            recipients: 1,
            ..Default::default()
        })
        .await;
    let db = &published.stage.db;
    published.stage.send(batch).await;
    assert_eq!(fixture::count(db, batch.schedule_id, "UNCERTAIN").await, 1);
    let mut connection = db.acquire().await.unwrap();
    let (id, now) = (batch.schedule_id, db.now());
    let locked = store::lock_batch(&mut connection, id, 1, now)
        .await
        .unwrap()
        .unwrap();
    store::close_as_sent(&mut connection, id, &[1], now)
        .await
        .unwrap();
    store::recount_batch(&mut connection, id, 1, &locked, now)
        .await
        .unwrap();
    lifecycle::reopen_schedule(&mut connection, id)
        .await
        .unwrap();
    drop(connection);
    published.stage.recheck(batch).await;
    assert_eq!(published.messages().await, [["1 UNKNOWN 1"]]);
    let expected = [
        "schedule.started",
        "schedule.finished",
        "messages.final",
        "schedule.finished",
    ];
    assert_eq!(
        published.events().await,
        expected,
        "a schedule that runs and finishes again is published again"
    );
}
