//! Personal texts: each recipient gets its own, equal texts share a request, and a text that cannot
//! be rendered stops the batch.

use std::{collections::BTreeMap, time::Duration};

use shared::platform::budget::Budget;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{dispatch, own_ids, set_names};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_recipient_gets_its_own_text_and_equal_texts_share_a_request(pool: MySqlPool) {
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
    set_names(&stage.db, id, &[(1, "Ana"), (2, "Bo"), (4, "Ana")]).await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().stats().requests, 3, "three texts");
    stage.play().await;
    let mut received: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in stage.simulator.carrier().ledger() {
        received
            .entry(format!("+{}", line.dnis))
            .or_default()
            .push(line.text);
    }
    let expected = ["Ana", "Bo", "friend", "Ana", "friend"];
    for (seq, name) in (1..).zip(expected) {
        let text = format!("Dear {name}!");
        let texts = &received.get(&fixture::phone(seq));
        assert_eq!(
            *texts,
            Some(&vec![text.clone(), text]),
            "{seq}: the resend has the same text: {received:?}"
        );
    }
    assert_eq!(fixture::count(&stage.db, id, "DELIVRD").await, 5);
    fixture::assert_counts(&stage.db, id).await;
}

/// No recipient gets a text with a gap: after three failed claims the batch waits for an operator.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_text_that_cannot_be_rendered_parks_the_batch(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = fixture::Schedule {
        recipients: 2,
        message: "Dear {{name}}",
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    set_names(&stage.db, schedule.schedule_id, &[(1, "Ana")]).await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    for _ in 0..4 {
        let _ = stage
            .sender
            .send_batch(batch, Budget::new(Duration::from_secs(60)))
            .await;
        stage.db.clock.advance(Duration::from_secs(600));
    }
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    assert_eq!(
        fixture::recipients(&stage.db, schedule.schedule_id).await,
        ["1 PENDING 0 0", "2 PENDING 0 0"]
    );
    assert_eq!(fixture::batch(&stage.db, batch).await.crashes, 3);
}

/// If the carrier takes own ids, each part has one; the number of parts differs per text.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_lost_answer_is_resolved_by_an_id_per_part_of_the_sent_text(pool: MySqlPool) {
    let (stage, settings) = own_ids(pool).await;
    let schedule = fixture::Schedule {
        recipients: 2,
        message: "{{name}}",
        parts: 3,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    set_names(
        &stage.db,
        schedule.schedule_id,
        &[(1, "Ana"), (2, &"x".repeat(400))],
    )
    .await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    stage.send(batch).await;
    assert!(fixture::count(&stage.db, schedule.schedule_id, "UNCERTAIN").await >= 1);
    let answering = Settings {
        reset_after_accept: 0.0,
        ..settings
    };
    stage.simulator.carrier().set(answering).unwrap();
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "DELIVRD").await,
        2
    );
    let ids = "SELECT message_id FROM recipients WHERE schedule_id = ? ORDER BY seq";
    let ids: Vec<String> = sqlx::query_scalar(ids)
        .bind(schedule.schedule_id)
        .fetch_all(&stage.db)
        .await
        .unwrap();
    let parts: Vec<_> = ids.iter().map(|ids| ids.split(',').count()).collect();
    assert_eq!(parts, [1, 3]);
}
