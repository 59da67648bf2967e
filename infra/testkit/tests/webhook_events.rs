//! A webhook receives each event of a schedule, from all functions, though its queue is purged and
//! its receiver fails at first.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod gate;

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use notify::{Notifier, Poster};
use serde_json::{Value, json};
use shared::events::target::AllowedTargets;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, webhooks};
use uuid::Uuid;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use gate::{Api, phones};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_webhook_receives_each_event_despite_a_purged_queue_and_failed_deliveries(
    pool: MySqlPool,
) {
    let settings = Settings {
        undeliv_first_attempts: 1,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let (api, receiver) = (
        Api::new(&stage).await,
        receiver_that_first_fails_twice().await,
    );
    let events =
        "schedule.started,schedule.paused,schedule.resumed,schedule.finished,messages.final";
    let webhook = webhooks::insert(&stage.db, &receiver.uri(), events).await;

    let run_at = stage.db.now() + TimeDelta::seconds(60);
    let body =
        json!({"run_at": run_at.to_rfc3339(), "message": "Hello", "recipients": phones(1..=12)});
    let schedule = api.create(&body).await;
    run_with_pause_and_purges(&stage, &api, schedule).await;
    assert_eq!(fixture::status(&stage.db, schedule).await, "finished");

    let deliveries = webhooks::deliveries(&stage.db, webhook).await;
    assert!(
        deliveries.iter().all(|line| line.contains(" delivered ")),
        "{deliveries:?}"
    );
    let requests = receiver.received_requests().await.unwrap();
    let published = signed_events(&requests, &webhooks::secret(webhook, 1));
    assert_eq!(
        (requests.len(), published.len()),
        (deliveries.len() + 2, deliveries.len()),
        "two requests were refused once"
    );
    assert_each_schedule_event_once(&published);
    let expected: Vec<_> = phones(1..=12)
        .into_iter()
        .map(|phone| (json!(phone), json!("DELIVRD")))
        .collect();
    assert_eq!(
        final_statuses(&published),
        expected,
        "each recipient once, with the status after the resend"
    );
}

/// Starts a receiver that fails two requests and accepts all further ones.
async fn receiver_that_first_fails_twice() -> MockServer {
    let receiver = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(2)
        .mount(&receiver)
        .await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .mount(&receiver)
        .await;
    receiver
}

/// Runs all functions for forty minutes. The schedule is paused for two minutes, and the notify
/// queue is purged every other minute.
async fn run_with_pause_and_purges(stage: &Stage, api: &Api, schedule: Uuid) {
    let notifier = Notifier {
        db: stage.db.clone(),
        queue: stage.notify_queue.clone(),
        keys: webhooks::keys().await,
        poster: Poster::new(AllowedTargets::Loopback).unwrap(),
        healthy_places: 2,
    };
    for minute in 0..40 {
        stage.dispatcher.sweep(|| true).await.unwrap();
        let path = format!("/v1/schedules/{schedule}");
        match minute {
            2 => drop(api.post(&format!("{path}/pause"), &json!({})).await),
            4 => drop(
                api.post(&format!("{path}/resume"), &json!({"now": true}))
                    .await,
            ),
            _ => {}
        }
        stage.work().await;
        let deliveries = stage.notify_queue.take_deliveries();
        for delivery in deliveries.into_iter().filter(|_| minute % 2 == 0) {
            notifier.deliver(delivery).await.unwrap();
        }
        stage.db.clock.advance(Duration::from_secs(60));
    }
}

/// Returns the events by id. Asserts that each request is signed, and that a retried request has
/// the same body as the first.
fn signed_events(requests: &[Request], secret: &str) -> BTreeMap<String, Value> {
    let mut events = BTreeMap::new();
    for request in requests {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        let id = header("webhook-id");
        let signature = (id, header("webhook-timestamp"), header("webhook-signature"));
        assert!(webhooks::is_signed(secret, signature, &request.body));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let first = events.entry(id.to_owned()).or_insert_with(|| body.clone());
        assert_eq!(*first, body);
    }
    events
}

fn assert_each_schedule_event_once(events: &BTreeMap<String, Value>) {
    let mut count = BTreeMap::<&str, usize>::new();
    for body in events.values() {
        *count.entry(body["type"].as_str().unwrap()).or_default() += 1;
    }
    for kind in [
        "schedule.started",
        "schedule.paused",
        "schedule.resumed",
        "schedule.finished",
    ] {
        assert_eq!(count[kind], 1, "{count:?}");
    }
}

/// Returns the number and the status of each published message, sorted by number.
fn final_statuses(events: &BTreeMap<String, Value>) -> Vec<(Value, Value)> {
    let messages = events
        .values()
        .filter_map(|body| body["data"]["messages"].as_array())
        .flatten();
    let mut statuses: Vec<_> = messages
        .map(|message| (message["phone"].clone(), message["status"].clone()))
        .collect();
    statuses.sort_by_key(|(phone, _)| phone.to_string());
    statuses
}
