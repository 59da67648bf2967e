//! Which messages are sent again, and which are not.

use std::time::Duration;

use simulator::Settings;
use sqlx::MySqlPool;
use testkit::fixture;

use crate::{send_on, sent, three};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_undelivered_message_is_resent_and_each_attempt_is_kept(pool: MySqlPool) {
    let (stage, batch) = sent(
        pool,
        Settings {
            undeliv_first_attempts: 2,
            ..Settings::default()
        },
        three(),
    )
    .await;
    stage.recheck_queue.send_batch(batch).await;
    stage.play().await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await,
        ["1 DELIVRD 3 2", "2 DELIVRD 3 2", "3 DELIVRD 3 2"]
    );
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT CONCAT_WS(' ', seq, attempt, status) FROM attempts ORDER BY seq, attempt",
    )
    .fetch_all(&stage.db)
    .await
    .unwrap();
    assert_eq!(
        kept,
        [
            "1 1 UNDELIV",
            "1 2 UNDELIV",
            "2 1 UNDELIV",
            "2 2 UNDELIV",
            "3 1 UNDELIV",
            "3 2 UNDELIV"
        ]
    );
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 3));
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "finished"
    );
    fixture::assert_counts(&stage.db, batch.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn resends_stop_at_the_attempt_limit_and_at_the_time_limit(pool: MySqlPool) {
    let always = Settings {
        undeliv: 1.0,
        ..Settings::default()
    };
    let (stage, batch) = sent(
        pool,
        always,
        fixture::Schedule {
            max_resends: 1,
            ..three()
        },
    )
    .await;
    stage.recheck_queue.send_batch(batch).await;
    stage.play().await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await[0],
        "1 UNDELIV 2 1"
    );
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "finished"
    );

    let late = send_on(&stage, three()).await;
    stage.db.clock.advance(Duration::from_secs(21_600));
    stage.recheck(late).await;
    assert_eq!(
        fixture::recipients(&stage.db, late.schedule_id).await[0],
        "1 UNDELIV 1 0",
        "the six hours for resends are over"
    );
    assert_eq!(
        fixture::status(&stage.db, late.schedule_id).await,
        "finished"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_policy_resend_resends_an_uncertain_message_after_the_quiet_time(pool: MySqlPool) {
    let schedule = fixture::Schedule {
        on_uncertain: "resend",
        ..three()
    };
    let (stage, batch) = sent(
        pool,
        Settings {
            error_5xx_before: 1.0,
            ..Settings::default()
        },
        schedule,
    )
    .await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "UNCERTAIN").await,
        3
    );
    stage.simulator.carrier().set(Settings::default()).unwrap();
    let resends = stage.send_queue.take();
    assert!((290..=300).contains(&resends[0].delay_s), "{resends:?}");
    stage.send(batch).await;
    assert_eq!(
        stage.simulator.carrier().accepted(),
        0,
        "the quiet time is not over"
    );
    stage.db.clock.advance(Duration::from_secs(301));
    stage.send(batch).await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await,
        ["1 ACCEPTD 2 1", "2 ACCEPTD 2 1", "3 ACCEPTD 2 1"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_policy_hold_leaves_an_uncertain_message_to_an_operator(pool: MySqlPool) {
    let (stage, batch) = sent(
        pool,
        Settings {
            error_5xx_before: 1.0,
            ..Settings::default()
        },
        three(),
    )
    .await;
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "finished",
        "nothing is left to do without an operator"
    );
    assert!(fixture::batch(&stage.db, batch).await.sweep_at.is_none());
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "UNCERTAIN").await,
        3
    );
}
