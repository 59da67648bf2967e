//! A carrier that pushes receipts, with all functions: schedules that finish by receipts alone, and
//! receipts that arrive during a recheck.
#![allow(missing_docs, clippy::unwrap_used)]

mod gate;

use std::time::Duration;

use api::{App, resources::receipts::secrets::Callbacks};
use axum::{body::Body, http::Request};
use dispatch::DispatchedBy;
use ring::hmac;
use serde_json::json;
use shared::platform::{
    config::KeySource,
    queue::{BatchMessage, DispatchMessage},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};
use tokio::net::TcpListener;

const SECRET: &str = "the simulator's secret, of more than thirty-two bytes";
const PATH: &str = "/v1/carrier/callbacks/sim";

struct Receipts {
    stage: Stage,
    app: App,
    batch: BatchMessage,
}

impl Receipts {
    /// Creates a schedule of three recipients. Its only batch has been sent, and its statuses are
    /// due to be queried in an hour.
    async fn new(pool: MySqlPool, settings: Settings) -> Self {
        let stage = Stage::new(pool, settings).await;
        fixture::reset_carrier(&stage.db).await;
        let app = Self::app(&stage).await;
        let message = fixture::Schedule::default().insert(&stage.db).await;
        stage
            .dispatcher
            .dispatch(message, DispatchedBy::Queue)
            .await
            .unwrap();
        let batch = stage.send_queue.take_batches()[0];
        stage.send(batch).await;
        stage.recheck_queue.take();
        sqlx::query("UPDATE batches SET check_at = check_at + INTERVAL 1 HOUR, sweep_at = sweep_at + INTERVAL 1 HOUR")
            .execute(&stage.db)
            .await
            .unwrap();
        Self { stage, app, batch }
    }

    async fn app(stage: &Stage) -> App {
        let secrets = json!({ "sim": SECRET }).to_string();
        let callbacks = Callbacks::open(Some(KeySource::Fixed(secrets.into())))
            .await
            .unwrap();
        App {
            callbacks,
            ..gate::app(stage).await
        }
    }

    /// Pushes a receipt with a status for a recipient. Returns how many receipts the API recorded.
    async fn push(&self, seq: u32, status: &str) -> u64 {
        let dnis = fixture::phone(seq);
        let ledger = self.stage.simulator.carrier().ledger();
        let id = ledger
            .iter()
            .rev()
            .find(|line| line.dnis == dnis[1..])
            .unwrap()
            .message_id
            .clone();
        let body = json!({"message_id": id, "dnis": dnis, "status": status}).to_string();
        let timestamp = self.stage.db.now().timestamp().to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
        let hex = tag
            .as_ref()
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let request = Request::post(PATH).header("x-callback-timestamp", timestamp);
        let request = request
            .header("x-callback-signature", format!("v1={hex}"))
            .body(Body::from(body))
            .unwrap();
        let body = gate::answer(&self.app, request).await;
        body["recorded"].as_u64().unwrap()
    }

    async fn recipients(&self) -> Vec<String> {
        fixture::recipients(&self.stage.db, self.batch.schedule_id).await
    }

    async fn status(&self) -> String {
        fixture::status(&self.stage.db, self.batch.schedule_id).await
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_last_receipt_finishes_the_schedule_before_the_next_recheck(pool: MySqlPool) {
    let receipts = Receipts::new(
        pool,
        Settings {
            stuck: 1.0,
            ..Settings::default()
        },
    )
    .await;
    for (seq, queued) in [(1, 0), (2, 0), (3, 1)] {
        assert_eq!(receipts.push(seq, "DELIVRD").await, 1);
        let batches = receipts.stage.recheck_queue.take_batches();
        assert_eq!(batches.len(), queued, "{seq}");
    }
    let before = receipts.stage.simulator.carrier().stats();
    receipts.stage.recheck(receipts.batch).await;
    assert_eq!(
        receipts.stage.simulator.carrier().stats().status_queries,
        before.status_queries,
        "no status is left to query"
    );
    assert_eq!(receipts.status().await, "finished");
    fixture::assert_counts(&receipts.stage.db, receipts.batch.schedule_id).await;
    // A receipt for a finished schedule changes nothing.
    assert_eq!(receipts.push(3, "UNDELIV").await, 0);
    assert!(receipts.stage.recheck_queue.take().is_empty());
    assert_eq!(
        (
            receipts.status().await.as_str(),
            receipts.recipients().await[2].as_str()
        ),
        ("finished", "3 DELIVRD 1 0")
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_message_with_an_undeliv_receipt_is_sent_again(pool: MySqlPool) {
    let receipts = Receipts::new(
        pool,
        Settings {
            undeliv_first_attempts: 1,
            ..Settings::default()
        },
    )
    .await;
    assert_eq!(receipts.push(1, "UNDELIV").await, 1);
    let queued = receipts.stage.recheck_queue.take();
    assert_eq!(
        queued
            .iter()
            .map(|message| message.delay_s)
            .collect::<Vec<_>>(),
        [59],
        "within the minute"
    );
    receipts
        .stage
        .recheck_queue
        .send_batch(receipts.batch)
        .await;
    receipts.stage.play().await;
    assert_eq!(
        receipts.recipients().await,
        ["1 DELIVRD 2 1", "2 DELIVRD 2 1", "3 DELIVRD 2 1"]
    );
    assert!(
        receipts
            .stage
            .acceptances()
            .iter()
            .all(|(_, times)| *times == 2)
    );
    assert_eq!(receipts.status().await, "finished");
    fixture::assert_counts(&receipts.stage.db, receipts.batch.schedule_id).await;
}

/// Thirty times, a recheck queries a status and a receipt with a different status arrives during
/// it, each time a little later. One of the two takes effect, and the schedule ends accordingly.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_receipt_during_a_recheck_leaves_consistent_rows(pool: MySqlPool) {
    let mut by_receipt = 0;
    for n in 0..30_u64 {
        let receipts = Receipts::new(
            pool.clone(),
            Settings {
                status_latency_ms: 15,
                ..Settings::default()
            },
        )
        .await;
        receipts.stage.db.clock.advance(Duration::from_secs(3_700));
        let late = async {
            tokio::time::sleep(Duration::from_millis(n)).await;
            receipts.push(1, "UNDELIV").await + receipts.push(2, "DELETED").await
        };
        let ((), recorded) = tokio::join!(receipts.stage.recheck(receipts.batch), late);
        by_receipt += recorded;
        receipts
            .stage
            .recheck_queue
            .send_batch(receipts.batch)
            .await;
        receipts.stage.play().await;
        let rows = receipts.recipients().await;
        // If the receipt came first, the message was sent again and then delivered.
        assert!(
            matches!(rows[0].as_str(), "1 DELIVRD 1 0" | "1 DELIVRD 2 1"),
            "{n}: {rows:?}"
        );
        assert!(
            matches!(rows[1].as_str(), "2 DELIVRD 1 0" | "2 DELETED 1 0"),
            "{n}: {rows:?}"
        );
        assert_eq!(rows[2], "3 DELIVRD 1 0");
        let sent = receipts.stage.simulator.carrier().accepted();
        assert_eq!(sent, if rows[0] == "1 DELIVRD 2 1" { 4 } else { 3 }, "{n}");
        assert_eq!(receipts.status().await, "finished", "{n}");
        fixture::assert_counts(&receipts.stage.db, receipts.batch.schedule_id).await;
    }
    println!("{by_receipt} of 60 statuses came from a receipt");
}

/// Inserts a schedule with so many recipients, dispatches it and sends all of its batches.
async fn send_all(stage: &Stage, recipients: u32) -> DispatchMessage {
    let message = fixture::Schedule {
        recipients,
        ..fixture::Schedule::default()
    }
    .insert(&stage.db)
    .await;
    stage
        .dispatcher
        .dispatch(message, DispatchedBy::Queue)
        .await
        .unwrap();
    for batch in stage.send_queue.take_batches() {
        stage.send(batch).await;
    }
    message
}

/// The simulator pushes over HTTP, sometimes before it responds to the send request. Receipts that
/// are too early are retried, and none is lost.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn receipts_of_a_pushing_carrier_are_recorded(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let app = Receipts::app(&stage).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        axum::serve(listener, api::routes::router(app))
            .await
            .unwrap();
    });
    let pushing = Settings {
        latency_ms: 200,
        callback_url: Some(url),
        callback_secret: Some(SECRET.to_owned()),
        ..Settings::default()
    };
    stage.simulator.carrier().set(pushing).unwrap();
    let message = send_all(&stage, 12).await;
    for _ in 0..400 {
        if fixture::count(&stage.db, message.schedule_id, "DELIVRD").await == 12 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(
        fixture::count(&stage.db, message.schedule_id, "DELIVRD").await,
        12
    );
    assert_eq!(
        stage.simulator.carrier().stats().status_queries,
        0,
        "no status was queried"
    );
    stage.play().await;
    assert_eq!(
        fixture::status(&stage.db, message.schedule_id).await,
        "finished"
    );
    server.abort();
}
