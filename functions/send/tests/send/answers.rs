//! Each way in which a carrier can answer.

use std::time::Duration;

use shared::carrier::Submit;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{cut, cut_on, own_ids, three};

/// One way in which the carrier behaves.
struct Case {
    name: &'static str,
    behaviour: fn(&mut Settings),
    /// The status of the three recipients.
    status: &'static str,
    /// The acceptances in the carrier's ledger.
    accepted: u64,
}

const CASES: [Case; 7] = [
    Case {
        name: "5xx after acceptance",
        behaviour: |settings| settings.error_5xx_after_accept = 1.0,
        status: "UNCERTAIN",
        accepted: 3,
    },
    Case {
        name: "connection reset after acceptance",
        behaviour: |settings| settings.reset_after_accept = 1.0,
        status: "UNCERTAIN",
        accepted: 3,
    },
    Case {
        name: "no answer in time",
        behaviour: |settings| settings.hang_after_accept = 1.0,
        status: "UNCERTAIN",
        accepted: 3,
    },
    Case {
        name: "an empty array",
        behaviour: |settings| settings.empty_array = 1.0,
        status: "UNCERTAIN",
        accepted: 3,
    },
    Case {
        name: "an HTML page",
        behaviour: |settings| settings.html = 1.0,
        status: "UNCERTAIN",
        accepted: 3,
    },
    Case {
        name: "400 NO ROUTES",
        behaviour: |settings| settings.refuse_4xx = 1.0,
        status: "PENDING",
        accepted: 0,
    },
    Case {
        name: "503 before acceptance",
        behaviour: |settings| settings.error_5xx_before = 1.0,
        status: "UNCERTAIN",
        accepted: 0,
    },
];

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_answer_of_a_carrier_leads_to_its_status(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    for case in CASES {
        let mut settings = Settings::default();
        (case.behaviour)(&mut settings);
        stage.simulator.carrier().reset();
        stage.simulator.carrier().set(settings).unwrap();
        let batch = cut_on(&stage, three()).await;
        stage.send(batch).await;
        let recipients = fixture::count(&stage.db, batch.schedule_id, case.status).await;
        assert_eq!(recipients, 3, "{}", case.name);
        let accepted = stage.simulator.carrier().accepted();
        assert_eq!(accepted, case.accepted, "{}", case.name);
        fixture::assert_counts(&stage.db, batch.schedule_id).await;
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_short_429_is_waited_out_and_costs_no_resend(pool: MySqlPool) {
    let settings = Settings {
        capacity_rps: 1,
        ..Settings::default()
    };
    let (stage, batch) = cut(pool, settings, three()).await;
    // Another client uses up the capacity of this second.
    let numbers = ["60199999999"];
    let submit = Submit {
        numbers: &numbers,
        text: "x",
        sender: None,
        own_id: None,
        parts: 1,
    };
    stage.sender.worker.carrier.submit(submit).await.unwrap();
    stage.send(batch).await;
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert!(
        lines
            .iter()
            .all(|line| line.contains("ACCEPTD") && line.ends_with(" 0")),
        "{lines:?}"
    );
    assert!(
        lines.iter().all(|line| !line.contains("ACCEPTD 1 ")),
        "the first attempt was refused: {lines:?}"
    );
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_long_429_is_retried_through_the_queue(pool: MySqlPool) {
    let settings = Settings {
        busy_429: 1.0,
        retry_after_s: Some(30),
        ..Settings::default()
    };
    let (stage, batch) = cut(pool, settings, three()).await;
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    let retries = stage.send_queue.take();
    assert!((29..40).contains(&retries[0].delay_s), "{retries:?}");
    stage.simulator.carrier().set(Settings::default()).unwrap();
    stage.db.clock.advance(Duration::from_secs(40));
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        3
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_refused_connection_loses_no_recipient(pool: MySqlPool) {
    let stage = Stage::with_carrier(pool, Settings::default(), |config| {
        config.url = "http://127.0.0.1:1/api".into();
    })
    .await;
    let batch = cut_on(&stage, three()).await;
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    assert_eq!(stage.send_queue.take().len(), 1);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_invalid_number_does_not_hold_back_the_others(pool: MySqlPool) {
    let bad = fixture::phone(3).trim_start_matches('+').to_owned();
    let settings = Settings {
        refuse_numbers: vec![bad],
        ..Settings::default()
    };
    let (stage, batch) = cut(
        pool,
        settings,
        fixture::Schedule {
            recipients: 5,
            max_lateness_s: 86_400,
            ..three()
        },
    )
    .await;
    // One pass: the request of five is refused, and then one of the five that it is divided into.
    stage.send(batch).await;
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert_eq!(lines[2], "3 REJECTD 2 0 400 NO ROUTES", "{lines:?}");
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        4
    );
    fixture::assert_counts(&stage.db, batch.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_text_of_several_parts_keeps_each_id(pool: MySqlPool) {
    let text = "long ".repeat(70).leak();
    let (stage, batch) = cut(
        pool,
        Settings::default(),
        fixture::Schedule {
            message: text,
            parts: 3,
            ..three()
        },
    )
    .await;
    stage.send(batch).await;
    let ids: Vec<String> = sqlx::query_scalar("SELECT message_id FROM recipients")
        .fetch_all(&stage.db)
        .await
        .unwrap();
    assert!(ids.iter().all(|ids| ids.split(',').count() == 3), "{ids:?}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_lost_answer_is_resolved_by_our_own_ids(pool: MySqlPool) {
    let (stage, settings) = own_ids(pool).await;
    let batch = cut_on(&stage, three()).await;
    stage.send(batch).await;
    let uncertain = fixture::count(&stage.db, batch.schedule_id, "UNCERTAIN").await;
    assert!(uncertain >= 1 && stage.simulator.carrier().accepted() >= 1);
    let answering = Settings {
        reset_after_accept: 0.0,
        ..settings
    };
    stage.simulator.carrier().set(answering).unwrap();
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "DELIVRD").await,
        3
    );
    assert!(
        stage.acceptances().iter().all(|(_, times)| *times == 1),
        "{:?}",
        stage.acceptances()
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_answer_is_recorded_after_a_database_failure(pool: MySqlPool) {
    let (stage, batch) = cut(
        pool,
        Settings {
            latency_ms: 400,
            ..Settings::default()
        },
        three(),
    )
    .await;
    let fail = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        sqlx::raw_sql("RENAME TABLE recipients TO renamed")
            .execute(&stage.db)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        sqlx::raw_sql("RENAME TABLE renamed TO recipients")
            .execute(&stage.db)
            .await
            .unwrap();
    };
    tokio::join!(stage.send(batch), fail);
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await,
        ["1 ACCEPTD 1 0", "2 ACCEPTD 1 0", "3 ACCEPTD 1 0"]
    );
    assert_eq!(stage.simulator.carrier().accepted(), 3);
}
