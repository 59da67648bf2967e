//! Each way in which the carrier answers a status query.

use shared::{
    batch::{
        claim::Claim,
        rows::{StatusUpdate, record_status_updates},
    },
    message::status::Status,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{recheck_after, send_on, sent, three};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn unknown_is_final_only_at_the_deadline_and_never_resent(pool: MySqlPool) {
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
async fn failing_status_queries_change_nothing(pool: MySqlPool) {
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
async fn an_unknown_carrier_status_is_stored_as_received_and_is_not_final(pool: MySqlPool) {
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
    let statuses: Vec<String> =
        sqlx::query_scalar("SELECT carrier_status FROM recipients WHERE status = 'ENROUTE'")
            .fetch_all(&stage.db)
            .await
            .unwrap();
    assert_eq!(statuses.len(), 3);
    assert!(
        statuses
            .iter()
            .all(|status| !["ENROUTE", "DELIVRD"].contains(&status.as_str())),
        "{statuses:?}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_final_status_never_changes_back(pool: MySqlPool) {
    let (stage, batch) = sent(pool, Settings::default(), three()).await;
    recheck_after(&stage, batch, 5).await;
    let late = |seq, status: Status| StatusUpdate {
        seq,
        attempt: 1,
        status,
        carrier_status: Some("ACCEPTD".into()),
        message_id: None,
        is_final: u8::from(status.is_final()),
    };
    let now = stage.db.now();
    let updates = [late(1, Status::Acceptd), late(2, Status::Undeliv)];
    let (claim, mut connection) = (
        Claim::new(batch, now, now),
        stage.db.acquire().await.unwrap(),
    );
    let matched = record_status_updates(&mut connection, &claim, &updates, now)
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
