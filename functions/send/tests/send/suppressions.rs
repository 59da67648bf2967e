//! A suppressed number gets nothing, even if it opted out after the schedule was created or between
//! two attempts.

use std::time::Duration;

use api::resources::suppressions::store::{Note, insert_suppressions};
use shared::platform::db::Db;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{dispatch, five};

pub async fn opt_out(db: &Db, seq: u32) {
    let note = Note {
        reason: None,
        source: "api".into(),
        created_at: db.now(),
        created_by: "test".into(),
    };
    let phone = fixture::phone(seq).parse().unwrap();
    assert_eq!(
        insert_suppressions(&mut db.acquire().await.unwrap(), &[phone], &note)
            .await
            .unwrap(),
        1
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_number_suppressed_after_scheduling_gets_nothing(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = five().insert(&stage.db).await;
    dispatch(&stage, schedule).await;
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
async fn a_list_of_suppressed_numbers_finishes_without_a_request(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule {
        recipients: 2,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    opt_out(&stage.db, 1).await;
    opt_out(&stage.db, 2).await;
    dispatch(&stage, schedule).await;
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
async fn a_failed_message_is_not_resent_to_a_number_suppressed_since(pool: MySqlPool) {
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
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    opt_out(&stage.db, 2).await;
    stage.play().await;
    // The other two had a second attempt. This one keeps its status, and the batch has nothing left
    // to do.
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

/// The opt-out is recorded when the resend of the batch is already planned.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_resend_planned_before_the_suppression_is_not_sent(pool: MySqlPool) {
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
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    while fixture::count(&stage.db, schedule.schedule_id, "UNDELIV").await == 0 {
        stage.db.clock.advance(Duration::from_secs(60));
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
