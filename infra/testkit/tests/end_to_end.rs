//! All functions together: a list is posted, EventBridge fires ahead of time, and the carrier
//! throttles, loses responses, forgets ids and fails to deliver. Workers crash and queue messages are
//! lost. At the end each recipient has received the text once.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod gate;

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use api::App;
use chrono::{DateTime, TimeDelta, Utc};
use dispatch::{DispatchedBy, Trigger};
use notify::{Notifier, Poster};
use serde_json::{Value, json};
use shared::{
    carrier::Form,
    events::target::AllowedTargets,
    platform::{
        budget::Budget,
        queue::{BatchMessage, DispatchMessage},
    },
};
use simulator::{Settings, UnknownId};
use sqlx::MySqlPool;
use testkit::{FakeQueue, FakeScheduler, INVOCATION, Stage, fixture, webhooks};
use uuid::Uuid;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

struct Api {
    app: App,
    dispatch_queue: Arc<FakeQueue>,
    scheduler: Arc<FakeScheduler>,
}

impl Api {
    async fn new(stage: &Stage) -> Self {
        let (dispatch_queue, scheduler) = (FakeQueue::new(), FakeScheduler::new());
        let app = App {
            dispatch_queue: dispatch_queue.clone(),
            scheduler: scheduler.clone(),
            ..gate::app(stage).await
        };
        Self {
            app,
            dispatch_queue,
            scheduler,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        gate::post(&self.app, path, body).await
    }

    /// Creates a schedule and returns its id.
    async fn create(&self, body: &Value) -> Uuid {
        let created = self.post("/v1/schedules", body).await;
        created["id"].as_str().unwrap().parse().unwrap()
    }
}

fn phones(seqs: RangeInclusive<u32>) -> Vec<String> {
    seqs.map(fixture::phone).collect()
}

/// Returns settings with which the carrier shows all its faults.
fn faulty_carrier() -> Settings {
    Settings {
        seed: Some(7),
        username: Some("u".into()),
        password: Some("p".into()),
        unknown_id: UnknownId::NotFound,
        undeliv: 0.1,
        expired: 0.05,
        odd: 0.1,
        busy_429: 0.1,
        error_5xx_before: 0.05,
        reset_after_accept: 0.1,
        empty_object: 0.05,
        status_error: 0.1,
        ..Settings::default()
    }
}

/// Processes all messages of the send queue and then of the recheck queue.
async fn work(stage: &Stage) {
    for batch in stage.send_queue.take_batches() {
        stage.send(batch).await;
    }
    for batch in stage.recheck_queue.take_batches() {
        stage.recheck(batch).await;
    }
}

/// Runs the sweep once per minute and processes the queues, until the schedule has finished.
async fn run_until_finished(stage: &Stage, schedule_id: Uuid) {
    for _ in 0..200 {
        stage.db.clock.advance(Duration::from_secs(60));
        stage.dispatcher.sweep(|| true).await.unwrap();
        work(stage).await;
        if fixture::status(&stage.db, schedule_id).await == "finished" {
            return;
        }
    }
    panic!(
        "the schedule did not finish: {:?}",
        fixture::recipients(&stage.db, schedule_id).await
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_recipient_gets_the_text_once_despite_faults(pool: MySqlPool) {
    let stage = Stage::with_carrier(pool, faulty_carrier(), |config| {
        config.form = Form::Alaris {
            username: "u".into(),
            password: "p".to_owned().into(),
            own_ids: true,
        };
    })
    .await;
    let api = Api::new(&stage).await;

    let run_at = stage.db.now() + TimeDelta::minutes(10);
    let schedule = post_forty_recipients(&api, run_at).await;
    let (message, fire_at) = api.scheduler.waiting()[0];
    assert_eq!((run_at - fire_at).num_seconds(), 90);

    let batches = dispatch_twice(&stage, message, fire_at).await;
    stage.db.clock.advance(Duration::from_secs(70));
    let crashed = send_with_faults(&stage, &batches).await;
    run_until_finished(&stage, schedule).await;

    let view = gate::get(&api.app, &format!("/v1/schedules/{schedule}")).await;
    let counts = &view["counts"];
    assert_eq!(
        (view["status"].as_str(), view["dispatched_by"].as_str()),
        (Some("finished"), Some("eventbridge")),
        "{view}"
    );
    assert_eq!(counts["DELIVRD"], 40, "ten attempts suffice: {counts}");
    fixture::assert_counts(&stage.db, schedule).await;
    assert_acceptances_match_attempts(&stage, schedule, crashed).await;
    assert_resends_are_allowed(&stage).await;
}

/// Posts a draft, appends a list that overlaps with the first, and activates it.
async fn post_forty_recipients(api: &Api, run_at: DateTime<Utc>) -> Uuid {
    let body = json!({"run_at": run_at.to_rfc3339(), "message": "Hello", "recipients": phones(1..=20), "draft": true, "max_attempts": 10});
    let schedule = api.create(&body).await;
    let path = format!("/v1/schedules/{schedule}");
    let list = json!({"recipients": phones(15..=40)});
    let appended = api.post(&format!("{path}/recipients"), &list).await;
    assert_eq!(
        (
            appended["accepted"].as_u64(),
            appended["duplicates"].as_u64()
        ),
        (Some(20), Some(6))
    );
    api.post(&format!("{path}/activate"), &json!({})).await;
    assert!(
        api.dispatch_queue.take().is_empty(),
        "EventBridge dispatches a schedule that is due in ten minutes"
    );
    schedule
}

/// Dispatches a schedule twice, because EventBridge delivers at least once. Returns the batches.
async fn dispatch_twice(
    stage: &Stage,
    message: DispatchMessage,
    fire_at: DateTime<Utc>,
) -> Vec<BatchMessage> {
    let until_fired = (fire_at - stage.db.now()).to_std().unwrap();
    stage
        .db
        .clock
        .advance(until_fired + Duration::from_secs(20));
    for _ in 0..2 {
        stage
            .dispatcher
            .handle(Trigger::OneTime(message), Budget::new(INVOCATION))
            .await
            .unwrap();
    }
    let batches = stage.send_queue.take_batches();
    assert!(
        (8..=10).contains(&batches.len()),
        "forty recipients, five per batch; the duplicates left gaps: {}",
        batches.len()
    );
    batches
}

/// Sends the batches: the worker crashes during the first, the second's message is lost, and the third
/// is delivered three times at the same time. Returns whether the first worker crashed in time.
async fn send_with_faults(stage: &Stage, batches: &[BatchMessage]) -> bool {
    let first = tokio::time::timeout(Duration::from_millis(15), stage.send(batches[0])).await;
    tokio::join!(
        stage.send(batches[2]),
        stage.send(batches[2]),
        stage.send(batches[2])
    );
    for batch in &batches[3..] {
        stage.send(*batch).await;
    }
    first.is_err()
}

/// Asserts that each acceptance of the carrier is an attempt in the database, and vice versa.
async fn assert_acceptances_match_attempts(stage: &Stage, schedule: Uuid, crashed: bool) {
    let sql = "SELECT message_id FROM recipients WHERE schedule_id = ? UNION ALL SELECT message_id FROM attempts WHERE schedule_id = ?";
    let mut attempts: Vec<String> = sqlx::query_scalar(sql)
        .bind(schedule)
        .bind(schedule)
        .fetch_all(&stage.db.pool)
        .await
        .unwrap();
    let mut acceptances: Vec<String> = stage
        .simulator
        .carrier()
        .ledger()
        .into_iter()
        .map(|line| line.message_id)
        .collect();
    attempts.sort();
    acceptances.sort();
    assert_eq!(attempts, acceptances, "crashed: {crashed}");
    assert!(acceptances.len() > 40, "some messages were sent again");
}

/// Asserts that each earlier attempt ended UNDELIV or EXPIRED.
async fn assert_resends_are_allowed(stage: &Stage) {
    let resent = "SELECT COUNT(*) FROM attempts WHERE status NOT IN ('UNDELIV', 'EXPIRED')";
    let wrong: i64 = sqlx::query_scalar(resent)
        .fetch_one(&stage.db.pool)
        .await
        .unwrap();
    assert_eq!(wrong, 0, "a second attempt follows UNDELIV or EXPIRED only");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_recipient_gets_the_text_without_eventbridge_and_with_purged_queues(pool: MySqlPool) {
    let settings = Settings {
        undeliv_first_attempts: 1,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let schedule = fixture::Schedule {
        run_in_s: 60,
        recipients: 23,
        ..Default::default()
    }
    .insert(&stage.db)
    .await
    .schedule_id;
    for minute in 0..60 {
        stage.dispatcher.sweep(|| true).await.unwrap();
        // Both queues are purged in two of three minutes.
        if minute % 3 == 2 {
            work(&stage).await;
        } else {
            stage.send_queue.take();
            stage.recheck_queue.take();
        }
        stage.db.clock.advance(Duration::from_secs(60));
    }
    let lines = fixture::recipients(&stage.db, schedule).await;
    assert_eq!(
        fixture::count(&stage.db, schedule, "DELIVRD").await,
        23,
        "{lines:?}"
    );
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 2));
    assert_eq!(fixture::status(&stage.db, schedule).await, "finished");
    let dispatched_by: String = sqlx::query_scalar("SELECT dispatched_by FROM schedules")
        .fetch_one(&stage.db.pool)
        .await
        .unwrap();
    assert_eq!(dispatched_by, DispatchedBy::Sweep.as_str());
}

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

/// Runs all functions for forty minutes. The schedule is paused for two minutes, and the notify queue
/// is purged every other minute.
async fn run_with_pause_and_purges(stage: &Stage, api: &Api, schedule: Uuid) {
    let notifier = Notifier {
        db: stage.db.clone(),
        queue: stage.notify_queue.clone(),
        keys: webhooks::keys().await,
        poster: Poster::new(AllowedTargets::Loopback).unwrap(),
    };
    for minute in 0..40 {
        stage.dispatcher.sweep(|| true).await.unwrap();
        let path = format!("/v1/schedules/{schedule}");
        match minute {
            2 => drop(api.post(&format!("{path}/pause"), &json!({})).await),
            4 => drop(api.post(&format!("{path}/resume"), &json!({})).await),
            _ => {}
        }
        work(stage).await;
        let deliveries = stage.notify_queue.take_deliveries();
        for delivery in deliveries.into_iter().filter(|_| minute % 2 == 0) {
            notifier.deliver(delivery).await.unwrap();
        }
        stage.db.clock.advance(Duration::from_secs(60));
    }
}

/// Returns the events by id. Asserts that each request is signed, and that a retried request has the
/// same body as the first.
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
