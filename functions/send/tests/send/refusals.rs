//! Refusals (4xx): of the account, of everything, and of single numbers.

use std::time::Duration;

use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, webhooks};
use uuid::Uuid;

use crate::{cut, cut_on, dispatch, five, three};

/// A carrier whose account has no credit.
fn out_of_credit(status: u16, text: &str) -> Settings {
    Settings {
        credit_parts: Some(0),
        credit_status: Some(status),
        credit_text: Some(text.to_owned()),
        ..Settings::default()
    }
}

async fn pause_reason(stage: &Stage, id: Uuid) -> Option<String> {
    sqlx::query_scalar("SELECT pause_reason FROM schedules WHERE id = ?")
        .bind(id)
        .fetch_one(&stage.db)
        .await
        .unwrap()
}

async fn resume(stage: &Stage, id: Uuid) {
    sqlx::query("UPDATE schedules SET status = 'running', paused_at = NULL, pause_reason = NULL WHERE id = ?")
        .bind(id)
        .execute(&stage.db)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_refused_account_pauses_the_schedule_at_once(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    for (status, text) in [
        (400, "400 Insufficient balance"),
        (402, "402 Payment required"),
        (403, "403 Forbidden"),
    ] {
        let carrier = stage.simulator.carrier();
        carrier.reset();
        carrier.set(out_of_credit(status, text)).unwrap();
        let batch = cut_on(&stage, three()).await;
        stage.send(batch).await;
        let id = batch.schedule_id;
        assert_eq!(fixture::status(&stage.db, id).await, "paused", "{text}");
        assert!(pause_reason(&stage, id).await.unwrap().contains(text));
        assert_eq!(carrier.stats().requests, 1, "{text}");
        assert_eq!(fixture::count(&stage.db, id, "PENDING").await, 3);
        carrier.set(Settings::default()).unwrap();
        resume(&stage, id).await;
        stage.send(batch).await;
        assert_eq!(fixture::count(&stage.db, id, "ACCEPTD").await, 3, "{text}");
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_carrier_that_refuses_everybody_pauses_the_schedule_within_three_passes(pool: MySqlPool) {
    let settings = Settings {
        refuse_4xx: 1.0,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let webhook = webhooks::insert(&stage.db, "http://127.0.0.1:1/", "schedule.paused").await;
    let schedule = fixture::Schedule {
        recipients: 20,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let id = schedule.schedule_id;
    dispatch(&stage, schedule).await;
    let batches = stage.send_queue.take_batches();
    let mut passes = 0;
    while fixture::status(&stage.db, id).await == "running" {
        passes += 1;
        for &batch in &batches {
            stage.send(batch).await;
        }
        stage.db.clock.advance(Duration::from_secs(3));
    }
    assert_eq!(passes, 3);
    assert!(pause_reason(&stage, id).await.unwrap().contains("400"));
    // At most three requests in each pass: two in flight after the first one was refused.
    let requests = stage.simulator.carrier().stats().requests;
    assert!(requests <= 9 * batches.len() as u64, "{requests}");
    assert_eq!(fixture::count(&stage.db, id, "PENDING").await, 20);
    let events = webhooks::deliveries(&stage.db, webhook).await;
    assert_eq!(events.len(), 1, "{events:?}");
    stage.simulator.carrier().set(Settings::default()).unwrap();
    resume(&stage, id).await;
    stage.db.clock.advance(Duration::from_secs(10));
    for &batch in &batches {
        stage.send(batch).await;
    }
    assert_eq!(fixture::count(&stage.db, id, "ACCEPTD").await, 20);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_resume_without_credit_pauses_again_after_one_pass(pool: MySqlPool) {
    let (stage, batch) = cut(pool, out_of_credit(400, "400 try again later"), three()).await;
    for _ in 0..3 {
        stage.send(batch).await;
        stage.db.clock.advance(Duration::from_secs(3));
    }
    let id = batch.schedule_id;
    assert_eq!(fixture::status(&stage.db, id).await, "paused");
    resume(&stage, id).await;
    stage.db.clock.advance(Duration::from_secs(20));
    stage.send(batch).await;
    assert_eq!(fixture::status(&stage.db, id).await, "paused");
    assert_eq!(fixture::count(&stage.db, id, "PENDING").await, 3);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn refused_numbers_in_a_row_are_rejected_and_the_others_are_sent(pool: MySqlPool) {
    let digits = |seq| fixture::phone(seq).trim_start_matches('+').to_owned();
    let settings = Settings {
        refuse_numbers: (11..=14).map(digits).collect(),
        ..Settings::default()
    };
    let mut stage = Stage::new(pool, settings).await;
    stage.dispatcher.settings.batch_size = 250;
    let schedule = fixture::Schedule {
        recipients: 250,
        ..Default::default()
    };
    let batch = cut_on(&stage, schedule).await;
    stage.send(batch).await;
    let id = batch.schedule_id;
    assert_eq!(fixture::count(&stage.db, id, "REJECTD").await, 4);
    assert_eq!(fixture::count(&stage.db, id, "ACCEPTD").await, 246);
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn credit_that_ends_inside_a_batch_rejects_nobody(pool: MySqlPool) {
    let settings = Settings {
        credit_parts: Some(150),
        ..out_of_credit(400, "400 something is wrong")
    };
    let mut stage = Stage::new(pool, settings).await;
    stage.dispatcher.settings.batch_size = 400;
    let schedule = fixture::Schedule {
        recipients: 400,
        ..Default::default()
    };
    let batch = cut_on(&stage, schedule).await;
    for _ in 0..4 {
        stage.send(batch).await;
        stage.db.clock.advance(Duration::from_secs(3));
    }
    let id = batch.schedule_id;
    assert_eq!(fixture::status(&stage.db, id).await, "paused");
    assert_eq!(fixture::count(&stage.db, id, "REJECTD").await, 0);
    let sent = fixture::count(&stage.db, id, "ACCEPTD").await;
    assert!((100..=150).contains(&sent), "{sent}");
    stage.simulator.carrier().set(Settings::default()).unwrap();
    resume(&stage, id).await;
    stage.db.clock.advance(Duration::from_secs(20));
    stage.send(batch).await;
    assert_eq!(fixture::count(&stage.db, id, "ACCEPTD").await, 400);
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_refused_batch_starts_with_other_recipients_in_the_next_pass(pool: MySqlPool) {
    // The first two recipients are refused: the first pass sees no acceptance.
    let digits = |seq| fixture::phone(seq).trim_start_matches('+').to_owned();
    let settings = Settings {
        refuse_numbers: vec![digits(1), digits(2)],
        ..Settings::default()
    };
    let mut stage = Stage::new(pool, settings).await;
    stage.sender.settings.in_flight = 2;
    let batch = cut_on(&stage, five()).await;
    for _ in 0..2 {
        stage.send(batch).await;
        stage.db.clock.advance(Duration::from_secs(3));
    }
    let id = batch.schedule_id;
    let rejected = fixture::count(&stage.db, id, "REJECTD").await;
    let pending = fixture::count(&stage.db, id, "PENDING").await;
    assert_eq!(
        fixture::status(&stage.db, id).await,
        "running",
        "{rejected} rejected, {pending} pending"
    );
}
