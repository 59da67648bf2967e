//! Passes: delays, duplicates, crashes, lost leases and claims.

use std::time::Duration;

use shared::batch::claim::{self, Claim};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, fixture};

use crate::{recheck_after, sent, three};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn delivered_recipients_are_final_and_the_last_batch_finishes_the_schedule(pool: MySqlPool) {
    let (stage, batch) = sent(pool, Settings::default(), three()).await;
    recheck_after(&stage, batch, 5).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "DELIVRD").await,
        3
    );
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "finished"
    );
    assert!(stage.recheck_queue.take().is_empty() && stage.send_queue.take().is_empty());
    fixture::assert_counts(&stage.db, batch.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn rechecks_repeat_with_growing_delays_and_a_duplicate_starts_no_second_chain(
    pool: MySqlPool,
) {
    let (stage, batch) = sent(
        pool,
        Settings {
            stuck: 1.0,
            ..Settings::default()
        },
        three(),
    )
    .await;
    for (seconds, delay_s) in [(5, 9), (10, 29), (30, 29)] {
        stage.db.clock.advance(Duration::from_secs(seconds));
        tokio::join!(
            stage.recheck(batch),
            stage.recheck(batch),
            stage.recheck(batch)
        );
        stage.recheck(batch).await;
        let next = stage.recheck_queue.take();
        assert_eq!(
            next.iter()
                .map(|message| message.delay_s)
                .collect::<Vec<_>>(),
            [delay_s]
        );
    }
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ENROUTE").await,
        3
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_crash_before_the_record_costs_a_second_status_query(pool: MySqlPool) {
    let (stage, batch) = sent(
        pool,
        Settings {
            status_latency_ms: 500,
            ..Settings::default()
        },
        three(),
    )
    .await;
    stage.db.clock.advance(Duration::from_secs(5));
    let killed = tokio::time::timeout(Duration::from_millis(200), stage.recheck(batch)).await;
    assert!(killed.is_err());
    stage.recheck(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        3,
        "the lease still runs"
    );
    stage.db.clock.advance(INVOCATION + Duration::from_secs(11));
    stage.recheck(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "DELIVRD").await,
        3
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_status_recorded_after_the_lease_makes_the_batch_due_again(pool: MySqlPool) {
    let (stage, batch) = sent(
        pool,
        Settings {
            undeliv: 1.0,
            ..Settings::default()
        },
        three(),
    )
    .await;
    let set_carrier = |settings| stage.simulator.carrier().set(settings).unwrap();
    set_carrier(Settings {
        status_latency_ms: 700,
        ..Settings::default()
    });
    stage.db.clock.advance(Duration::from_secs(5));
    let first = stage.recheck(batch);
    let second = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        // The lease expires while the owner waits. Another worker claims the batch, gets no status,
        // and plans the next recheck.
        set_carrier(Settings {
            status_error: 1.0,
            ..Settings::default()
        });
        stage.db.clock.advance(INVOCATION + Duration::from_secs(11));
        stage.recheck(batch).await;
        set_carrier(Settings::default());
        assert!(fixture::batch(&stage.db, batch).await.check_at.unwrap() > stage.db.now());
    };
    tokio::join!(first, second);
    // They may be resent: another pass has to count them and decide.
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "UNDELIV").await,
        3
    );
    assert!(fixture::batch(&stage.db, batch).await.check_at.unwrap() <= stage.db.now());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_messages_of_a_cancelled_schedule_are_still_rechecked(pool: MySqlPool) {
    let (stage, batch) = sent(
        pool,
        Settings {
            undeliv: 1.0,
            ..Settings::default()
        },
        three(),
    )
    .await;
    sqlx::query("UPDATE schedules SET status = 'cancelled'")
        .execute(&stage.db)
        .await
        .unwrap();
    recheck_after(&stage, batch, 5).await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await[0],
        "1 UNDELIV 1 0"
    );
    assert!(stage.send_queue.take().is_empty(), "nothing is resent");
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "cancelled"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_that_is_not_due_cannot_be_claimed(pool: MySqlPool) {
    let (stage, batch) = sent(pool, Settings::default(), three()).await;
    let now = stage.db.now();
    assert!(
        !claim::claim_to_check(&stage.db, &Claim::new(batch, now, now))
            .await
            .unwrap(),
        "due in five seconds"
    );
    assert!(
        !claim::claim_to_send(&stage.db, &Claim::new(batch, now, now))
            .await
            .unwrap(),
        "nothing to send"
    );
}
