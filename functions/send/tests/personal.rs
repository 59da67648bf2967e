//! Personal texts: each gets its own, equal ones share a request, and what can't be made stops the batch.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use api::resources::recipients::variables_store::insert_variables;
use shared::platform::db::Db;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, with_own_ids};
use uuid::Uuid;

async fn give(db: &Db, id: Uuid, values: &[(u32, &str)]) {
    let rows: Vec<_> = values
        .iter()
        .map(|(seq, value)| (*seq, format!(r#"{{"name":"{value}"}}"#)))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(seq, json)| (*seq, json.as_str()))
        .collect();
    insert_variables(&mut db.pool.acquire().await.unwrap(), id, &rows)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_gets_its_own_text_and_equal_ones_share_a_request(pool: MySqlPool) {
    let stage = Stage::new(
        pool,
        Settings {
            undeliv_first_attempts: 1,
            ..Settings::default()
        },
    )
    .await;
    let schedule = fixture::Schedule {
        recipients: 5,
        message: "Dear {{name|default('friend')}}!",
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let id = schedule.schedule_id;
    give(&stage.db, id, &[(1, "Ana"), (2, "Bo"), (4, "Ana")]).await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().stats().requests, 3, "three texts");
    stage.play().await;
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in stage.simulator.carrier().ledger() {
        got.entry(format!("+{}", line.dnis))
            .or_default()
            .push(line.text);
    }
    let expected = ["Ana", "Bo", "friend", "Ana", "friend"];
    for (seq, name) in (1..).zip(expected) {
        let text = format!("Dear {name}!");
        let texts = &got.get(&fixture::phone(seq));
        assert_eq!(
            *texts,
            Some(&vec![text.clone(), text]),
            "{seq}: the resend says the same: {got:?}"
        );
    }
    assert_eq!(fixture::count(&stage.db, id, "DELIVRD").await, 5);
    fixture::assert_counts(&stage.db, id).await;
}

/// Nobody gets a text with a hole in it: after three vain claims the batch waits for a person.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_text_that_cannot_be_made_parks_the_batch(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule {
        recipients: 2,
        message: "Dear {{name}}",
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    give(&stage.db, schedule.schedule_id, &[(1, "Ana")]).await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    for _ in 0..4 {
        let _ = stage
            .sender
            .send_batch(
                batch,
                shared::platform::budget::Budget::new(std::time::Duration::from_secs(60)),
            )
            .await;
        stage.db.clock.advance(std::time::Duration::from_secs(600));
    }
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    assert_eq!(
        fixture::recipients(&stage.db, schedule.schedule_id).await,
        ["1 PENDING 0 0", "2 PENDING 0 0"]
    );
    assert_eq!(fixture::batch(&stage.db, batch).await.crashes, 3);
}

/// Where the carrier knows a message by our own id, each of its parts has one; how many there are differs from text to text.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_lost_answer_is_asked_for_by_the_parts_of_the_text_that_was_sent(pool: MySqlPool) {
    let settings = Settings {
        username: Some("u".into()),
        password: Some("p".into()),
        reset_after_accept: 1.0,
        unknown_id: simulator::UnknownId::NotFound,
        ..Settings::default()
    };
    let stage = Stage::with_carrier(pool, settings.clone(), with_own_ids).await;
    let schedule = fixture::Schedule {
        recipients: 2,
        message: "{{name}}",
        parts: 3,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    give(
        &stage.db,
        schedule.schedule_id,
        &[(1, "Ana"), (2, &"x".repeat(400))],
    )
    .await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    assert!(fixture::count(&stage.db, schedule.schedule_id, "UNCERTAIN").await >= 1);
    stage
        .simulator
        .carrier()
        .set(Settings {
            reset_after_accept: 0.0,
            ..settings
        })
        .unwrap();
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "DELIVRD").await,
        2
    );
    let ids = "SELECT message_id FROM recipients WHERE schedule_id = ? ORDER BY seq";
    let ids: Vec<String> = sqlx::query_scalar(ids)
        .bind(schedule.schedule_id)
        .fetch_all(&stage.db.pool)
        .await
        .unwrap();
    let parts: Vec<_> = ids.iter().map(|ids| ids.split(',').count()).collect();
    assert_eq!(parts, [1, 3]);
}
