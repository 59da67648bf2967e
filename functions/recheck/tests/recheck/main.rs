//! Recheck against a real database and a real HTTP carrier: run twice, at once, crashed between do and record, and every way in
//! which a status can come.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use shared::batch::claim;
use std::time::Duration;

use dispatch::DispatchedBy;
use shared::{batch::claim::Claim, platform::queue::BatchMessage};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture};

/// A stage with a schedule whose first batch was just sent.
async fn sent(
    pool: MySqlPool,
    settings: Settings,
    schedule: fixture::Schedule,
) -> (Stage, BatchMessage) {
    let stage = Stage::new(pool, settings).await;
    let batch = send_on(&stage, schedule).await;
    (stage, batch)
}

async fn send_on(stage: &Stage, schedule: fixture::Schedule) -> BatchMessage {
    let message = schedule.insert(&stage.db).await;
    stage
        .dispatcher
        .dispatch(message, DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    stage.recheck_queue.take();
    batch
}

fn three() -> fixture::Schedule {
    fixture::Schedule::default()
}

/// To the next recheck, and through it.
async fn recheck_after(stage: &Stage, batch: BatchMessage, seconds: u64) {
    stage.db.clock.advance(Duration::from_secs(seconds));
    stage.recheck(batch).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn delivered_recipients_end_and_the_last_batch_finishes_the_schedule(pool: MySqlPool) {
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
async fn rechecks_go_on_with_growing_delays_and_a_duplicate_starts_no_second_chain(
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
async fn a_crash_before_the_record_costs_a_question_asked_twice(pool: MySqlPool) {
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
async fn an_undelivered_message_is_sent_again_and_every_attempt_kept(pool: MySqlPool) {
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
    .fetch_all(&stage.db.pool)
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
async fn resends_end_with_the_attempts_and_with_the_time_for_them(pool: MySqlPool) {
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
        "six hours are over"
    );
    assert_eq!(
        fixture::status(&stage.db, late.schedule_id).await,
        "finished"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn unknown_is_believed_only_at_the_deadline_and_never_sent_again(pool: MySqlPool) {
    let (stage, batch) = sent(
        pool,
        Settings {
            unknown: 1.0,
            ..Settings::default()
        },
        three(),
    )
    .await;
    recheck_after(&stage, batch, 3600).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        3
    );
    recheck_after(&stage, batch, 22 * 3600).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "UNKNOWN").await,
        3
    );
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "finished"
    );
    assert_eq!(stage.simulator.carrier().accepted(), 3);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_status_query_that_fails_for_an_hour_changes_nothing(pool: MySqlPool) {
    let failing = [
        Settings {
            status_error: 1.0,
            ..Settings::default()
        },
        Settings {
            status_html: 1.0,
            ..Settings::default()
        },
    ];
    let stage = Stage::new(pool, Settings::default()).await;
    let batch = send_on(&stage, three()).await;
    for settings in failing {
        stage.simulator.carrier().set(settings).unwrap();
        recheck_after(&stage, batch, 1800).await;
        assert_eq!(
            fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
            3
        );
        assert_eq!(stage.recheck_queue.take().len(), 1);
    }
    stage.simulator.carrier().set(Settings::default()).unwrap();
    recheck_after(&stage, batch, 1800).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "DELIVRD").await,
        3
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_odd_word_is_kept_as_it_came_and_is_not_final(pool: MySqlPool) {
    let (stage, batch) = sent(
        pool,
        Settings {
            odd: 1.0,
            odd_for_ever: true,
            ..Settings::default()
        },
        three(),
    )
    .await;
    recheck_after(&stage, batch, 5).await;
    let words: Vec<String> =
        sqlx::query_scalar("SELECT carrier_status FROM recipients WHERE status = 'ENROUTE'")
            .fetch_all(&stage.db.pool)
            .await
            .unwrap();
    assert_eq!(words.len(), 3);
    assert!(
        words
            .iter()
            .all(|word| !["ENROUTE", "DELIVRD"].contains(&word.as_str())),
        "{words:?}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_final_state_never_goes_back(pool: MySqlPool) {
    let (stage, batch) = sent(pool, Settings::default(), three()).await;
    recheck_after(&stage, batch, 5).await;
    let late = |seq, status: shared::message::status::Status| shared::batch::rows::StatusUpdate {
        seq,
        attempt: 1,
        status,
        carrier_status: Some("ACCEPTD".into()),
        message_id: None,
        is_final: u8::from(status.is_final()),
    };
    let now = stage.db.now();
    let verdicts = [
        late(1, shared::message::status::Status::Acceptd),
        late(2, shared::message::status::Status::Undeliv),
    ];
    let (claim, mut connection) = (
        Claim::new(batch, now, now),
        stage.db.pool.acquire().await.unwrap(),
    );
    let matched =
        shared::batch::rows::record_status_updates(&mut connection, &claim, &verdicts, now)
            .await
            .unwrap();
    assert_eq!(
        (
            matched,
            fixture::count(&stage.db, batch.schedule_id, "DELIVRD").await
        ),
        (0, 3)
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_verdict_after_the_lease_makes_the_batch_due_again(pool: MySqlPool) {
    let (stage, batch) = sent(
        pool,
        Settings {
            undeliv: 1.0,
            ..Settings::default()
        },
        three(),
    )
    .await;
    let behave = |settings| stage.simulator.carrier().set(settings).unwrap();
    behave(Settings {
        status_latency_ms: 700,
        ..Settings::default()
    });
    stage.db.clock.advance(Duration::from_secs(5));
    let old = stage.recheck(batch);
    let other = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        // The lease ends while the owner waits; another takes over, learns nothing, and plans the next recheck.
        behave(Settings {
            status_error: 1.0,
            ..Settings::default()
        });
        stage.db.clock.advance(INVOCATION + Duration::from_secs(11));
        stage.recheck(batch).await;
        behave(Settings::default());
        assert!(fixture::batch(&stage.db, batch).await.check_at.unwrap() > stage.db.now());
    };
    tokio::join!(old, other);
    // They may be sent again: somebody has to count, and decide.
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "UNDELIV").await,
        3
    );
    assert!(fixture::batch(&stage.db, batch).await.check_at.unwrap() <= stage.db.now());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_cancelled_schedule_is_still_asked_about(pool: MySqlPool) {
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
        .execute(&stage.db.pool)
        .await
        .unwrap();
    recheck_after(&stage, batch, 5).await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await[0],
        "1 UNDELIV 1 0"
    );
    assert!(stage.send_queue.take().is_empty(), "nothing is sent again");
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "cancelled"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn with_the_policy_resend_an_uncertain_message_is_sent_again_after_the_quiet_time(
    pool: MySqlPool,
) {
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
    let again = stage.send_queue.take();
    assert!((290..=300).contains(&again[0].delay_s), "{again:?}");
    stage.send(batch).await;
    assert_eq!(
        stage.simulator.carrier().accepted(),
        0,
        "not before the quiet time is over"
    );
    stage.db.clock.advance(Duration::from_secs(301));
    stage.send(batch).await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await,
        ["1 ACCEPTD 2 1", "2 ACCEPTD 2 1", "3 ACCEPTD 2 1"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn with_the_policy_hold_an_uncertain_message_waits_for_a_person(pool: MySqlPool) {
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
        "nothing more happens by itself"
    );
    assert!(fixture::batch(&stage.db, batch).await.sweep_at.is_none());
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "UNCERTAIN").await,
        3
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_claim_that_is_not_due_is_not_given(pool: MySqlPool) {
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
