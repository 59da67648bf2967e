//! Who has opted out gets nothing, whenever it was said: before, after it was scheduled, between two attempts.
#![allow(missing_docs, clippy::unwrap_used)]

use api::resources::suppressions::store::{Note, insert_suppressions};
use shared::platform::db::Db;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

async fn opt_out(db: &Db, seq: u32) {
    let note = Note {
        reason: None,
        source: "api".into(),
        created_at: db.now(),
        created_by: "nobody".into(),
    };
    let phone = fixture::phone(seq).parse().unwrap();
    assert_eq!(
        insert_suppressions(&mut db.pool.acquire().await.unwrap(), &[phone], &note)
            .await
            .unwrap(),
        1
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nobody_sends_to_who_has_opted_out_after_it_was_scheduled(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule {
        recipients: 5,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    opt_out(&stage.db, 2).await;
    opt_out(&stage.db, 5).await;
    stage.play().await;
    let lines = fixture::recipients(&stage.db, schedule.schedule_id).await;
    assert_eq!(
        lines,
        [
            "1 DELIVRD 1 0",
            "2 SUPPRESSED 0 0",
            "3 DELIVRD 1 0",
            "4 DELIVRD 1 0",
            "5 SUPPRESSED 0 0"
        ]
    );
    assert_eq!(stage.simulator.carrier().accepted(), 3);
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "finished"
    );
    fixture::assert_counts(&stage.db, schedule.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_list_of_opt_outs_only_ends_without_a_request(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule {
        recipients: 2,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    opt_out(&stage.db, 1).await;
    opt_out(&stage.db, 2).await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    stage.play().await;
    assert_eq!(
        fixture::recipients(&stage.db, schedule.schedule_id).await,
        ["1 SUPPRESSED 0 0", "2 SUPPRESSED 0 0"]
    );
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "finished"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_failed_is_not_sent_again_to_who_has_opted_out_meanwhile(pool: MySqlPool) {
    let stage = Stage::new(
        pool,
        Settings {
            undeliv_first_attempts: 1,
            ..Settings::default()
        },
    )
    .await;
    let schedule = fixture::Schedule {
        recipients: 3,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    opt_out(&stage.db, 2).await;
    stage.play().await;
    // The other two had a second attempt; this one stays as it ended, and nothing of the batch is left to do.
    let lines = fixture::recipients(&stage.db, schedule.schedule_id).await;
    assert_eq!(lines, ["1 DELIVRD 2 1", "2 UNDELIV 1 0", "3 DELIVRD 2 1"]);
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "finished"
    );
    assert_eq!(stage.simulator.carrier().accepted(), 5);
    let row = fixture::batch(&stage.db, batch).await;
    assert!(row.send_at.is_none() && row.sweep_at.is_none(), "{row:?}");
}

/// The opt-out comes when the batch is due already for its resend.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_resend_that_was_planned_before_the_opt_out_ends_the_batch(pool: MySqlPool) {
    let stage = Stage::new(
        pool,
        Settings {
            undeliv_first_attempts: 9,
            ..Settings::default()
        },
    )
    .await;
    let schedule = fixture::Schedule {
        recipients: 1,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    while fixture::count(&stage.db, schedule.schedule_id, "UNDELIV").await == 0 {
        stage.db.clock.advance(std::time::Duration::from_secs(60));
        stage.recheck(batch).await;
    }
    assert!(
        fixture::batch(&stage.db, batch).await.send_at.is_some(),
        "a resend is planned"
    );
    opt_out(&stage.db, 1).await;
    stage.play().await;
    assert_eq!(
        fixture::recipients(&stage.db, schedule.schedule_id).await,
        ["1 UNDELIV 1 0"]
    );
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "finished"
    );
    assert_eq!(stage.simulator.carrier().accepted(), 1);
}
