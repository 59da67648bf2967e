//! The whole story, through all functions: a list is posted, EventBridge fires ahead of time, a carrier that throttles, loses answers,
//! forgets numbers and fails to deliver takes it, functions die, and at the end everybody has the text once.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod gate;

use std::time::Duration;

use api::App;
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use chrono::TimeDelta;
use dispatch::{DispatchedBy, Trigger};
use lambda_http::tower::ServiceExt;
use notify::{Notifier, Poster};
use serde_json::{Value, json};
use shared::{carrier::Form, events::target::AllowedTargets, platform::budget::Budget};
use simulator::{Settings, UnknownId};
use sqlx::MySqlPool;
use testkit::{FakeQueue, FakeScheduler, INVOCATION, Stage, fixture, webhooks};
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

struct Api {
    app: App,
    dispatch_queue: std::sync::Arc<FakeQueue>,
    scheduler: std::sync::Arc<FakeScheduler>,
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

    async fn call(&self, mut request: Request<Body>) -> Value {
        request
            .headers_mut()
            .insert("authorization", gate::new_key(&self.app.db).await);
        let answer = api::routes::router(self.app.clone())
            .oneshot(request)
            .await
            .unwrap();
        let status = answer.status();
        let body: Value =
            serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap())
                .unwrap();
        assert!(status.is_success(), "{status}: {body}");
        body
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = Request::post(path).header("content-type", "application/json");
        self.call(request.body(Body::from(body.to_string())).unwrap())
            .await
    }
}

fn phones(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(fixture::phone).collect()
}

/// Plays the queues, with a sweep a minute, until the schedule has ended.
async fn play_to_the_end(stage: &Stage, schedule_id: Uuid) {
    for _ in 0..200 {
        stage.db.clock.advance(Duration::from_secs(60));
        stage.dispatcher.sweep(|| true).await.unwrap();
        for batch in stage.send_queue.take_batches() {
            stage.send(batch).await;
        }
        for batch in stage.recheck_queue.take_batches() {
            stage.recheck(batch).await;
        }
        if fixture::status(&stage.db, schedule_id).await == "finished" {
            return;
        }
    }
    panic!(
        "no end: {:?}",
        fixture::recipients(&stage.db, schedule_id).await
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn from_the_call_to_the_last_verdict(pool: MySqlPool) {
    let trouble = Settings {
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
    };
    let stage = Stage::with_carrier(pool, trouble, |config| {
        config.form = Form::Alaris {
            username: "u".into(),
            password: "p".to_owned().into(),
            own_ids: true,
        };
    })
    .await;
    let api = Api::new(&stage).await;

    let run_at = stage.db.now() + TimeDelta::minutes(10);
    let body = json!({"run_at": run_at.to_rfc3339(), "message": "Hello", "recipients": phones(1..=20), "draft": true, "max_attempts": 10});
    let schedule: Uuid = api.post("/v1/schedules", &body).await["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let path = format!("/v1/schedules/{schedule}");
    let appended = api
        .post(
            &format!("{path}/recipients"),
            &json!({"recipients": phones(15..=40)}),
        )
        .await;
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
        "due in ten minutes: EventBridge's"
    );
    let (message, fire_at) = api.scheduler.waiting()[0];
    assert_eq!((run_at - fire_at).num_seconds(), 90);

    stage
        .db
        .clock
        .advance((fire_at - stage.db.now()).to_std().unwrap() + Duration::from_secs(20));
    for _ in 0..2 {
        // EventBridge delivers at least once.
        stage
            .dispatcher
            .handle(Trigger::OneTime(message), Budget::new(INVOCATION))
            .await
            .unwrap();
    }
    let batches = stage.send_queue.take_batches();
    assert!(
        (8..=10).contains(&batches.len()),
        "forty recipients, five each; the duplicates left gaps: {}",
        batches.len()
    );
    stage.db.clock.advance(Duration::from_secs(70));
    // One function dies in the middle of a batch; another batch's message is lost; the third is delivered three times at once.
    let killed = tokio::time::timeout(Duration::from_millis(15), stage.send(batches[0])).await;
    tokio::join!(
        stage.send(batches[2]),
        stage.send(batches[2]),
        stage.send(batches[2])
    );
    for batch in &batches[3..] {
        stage.send(*batch).await;
    }
    play_to_the_end(&stage, schedule).await;

    let view = api
        .call(Request::get(&path).body(Body::empty()).unwrap())
        .await;
    let counts = &view["counts"];
    assert_eq!(
        (view["status"].as_str(), view["dispatched_by"].as_str()),
        (Some("finished"), Some("eventbridge")),
        "{view}"
    );
    assert_eq!(counts["DELIVRD"], 40, "ten attempts are enough: {counts}");
    fixture::assert_counts(&stage.db, schedule).await;

    // The proof: every acceptance of the carrier is an attempt in the database, and the other way round.
    let sql = "SELECT message_id FROM recipients WHERE schedule_id = ? UNION ALL SELECT message_id FROM attempts WHERE schedule_id = ?";
    let mut ours: Vec<String> = sqlx::query_scalar(sql)
        .bind(schedule)
        .bind(schedule)
        .fetch_all(&stage.db.pool)
        .await
        .unwrap();
    let mut theirs: Vec<String> = stage
        .simulator
        .carrier()
        .ledger()
        .into_iter()
        .map(|line| line.message_id)
        .collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs, "killed: {}", killed.is_err());
    let resent = "SELECT COUNT(*) FROM attempts WHERE status NOT IN ('UNDELIV', 'EXPIRED')";
    let wrong: i64 = sqlx::query_scalar(resent)
        .fetch_one(&stage.db.pool)
        .await
        .unwrap();
    assert_eq!(wrong, 0, "a second attempt follows UNDELIV or EXPIRED only");
    assert!(theirs.len() > 40, "some were sent again");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn without_eventbridge_and_with_every_queue_purged_everybody_gets_it(pool: MySqlPool) {
    let stage = Stage::new(
        pool,
        Settings {
            undeliv_first_attempts: 1,
            ..Settings::default()
        },
    )
    .await;
    let schedule = fixture::Schedule {
        run_in_s: 60,
        recipients: 23,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    for minute in 0..60 {
        stage.dispatcher.sweep(|| true).await.unwrap();
        let (send, recheck) = (
            stage.send_queue.take_batches(),
            stage.recheck_queue.take_batches(),
        );
        // Both queues are purged in two minutes of three.
        if minute % 3 == 2 {
            for batch in send {
                stage.send(batch).await;
            }
            for batch in recheck {
                stage.recheck(batch).await;
            }
        }
        stage.db.clock.advance(Duration::from_secs(60));
    }
    let lines = fixture::recipients(&stage.db, schedule.schedule_id).await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "DELIVRD").await,
        23,
        "{lines:?}"
    );
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 2));
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "finished"
    );
    let way: String = sqlx::query_scalar("SELECT dispatched_by FROM schedules")
        .fetch_one(&stage.db.pool)
        .await
        .unwrap();
    assert_eq!(way, DispatchedBy::Sweep.as_str());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_webhook_is_told_the_whole_story_though_its_queue_is_purged_and_it_fails_at_first(
    pool: MySqlPool,
) {
    let stage = Stage::new(
        pool,
        Settings {
            undeliv_first_attempts: 1,
            ..Settings::default()
        },
    )
    .await;
    let (api, receiver) = (Api::new(&stage).await, MockServer::start().await);
    Mock::given(any())
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(2)
        .mount(&receiver)
        .await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .mount(&receiver)
        .await;
    let wanted =
        "schedule.started,schedule.paused,schedule.resumed,schedule.finished,messages.final";
    let webhook = webhooks::insert(&stage.db, &receiver.uri(), wanted).await;
    let (queue, keys) = (stage.notify_queue.clone(), webhooks::keys().await);
    let notifier = Notifier {
        db: stage.db.clone(),
        queue: queue.clone(),
        keys,
        poster: Poster::new(AllowedTargets::Loopback).unwrap(),
    };

    let run_at = stage.db.now() + TimeDelta::seconds(60);
    let body =
        json!({"run_at": run_at.to_rfc3339(), "message": "Hello", "recipients": phones(1..=12)});
    let schedule: Uuid = api.post("/v1/schedules", &body).await["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    for minute in 0..40 {
        stage.dispatcher.sweep(|| true).await.unwrap();
        let path = format!("/v1/schedules/{schedule}");
        match minute {
            2 => drop(api.post(&format!("{path}/pause"), &json!({})).await),
            4 => drop(api.post(&format!("{path}/resume"), &json!({})).await),
            _ => {}
        }
        for batch in stage.send_queue.take_batches() {
            stage.send(batch).await;
        }
        for batch in stage.recheck_queue.take_batches() {
            stage.recheck(batch).await;
        }
        let deliveries = queue.take_deliveries();
        // Its queue is purged in one minute of two.
        for delivery in deliveries.into_iter().filter(|_| minute % 2 == 0) {
            notifier.deliver(delivery).await.unwrap();
        }
        stage.db.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(fixture::status(&stage.db, schedule).await, "finished");
    let lines = webhooks::deliveries(&stage.db, webhook).await;
    assert!(
        lines.iter().all(|line| line.contains(" delivered ")),
        "{lines:?}"
    );

    let received = receiver.received_requests().await.unwrap();
    let secret = webhooks::secret(webhook, 1);
    let mut told = std::collections::BTreeMap::new();
    for request in &received {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        let id = header("webhook-id").to_owned();
        assert!(webhooks::is_signed(
            &secret,
            (
                &id,
                header("webhook-timestamp"),
                header("webhook-signature")
            ),
            &request.body
        ));
        // What was not taken came again, the same under the same id.
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(*told.entry(id).or_insert_with(|| body.clone()), body);
    }
    assert_eq!(
        (received.len(), told.len()),
        (lines.len() + 2, lines.len()),
        "two were refused once"
    );
    let mut count = std::collections::BTreeMap::<&str, usize>::new();
    for body in told.values() {
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
    let messages = told
        .values()
        .filter_map(|body| body["data"]["messages"].as_array())
        .flatten();
    let mut ended: Vec<_> = messages
        .map(|message| (message["phone"].clone(), message["status"].clone()))
        .collect();
    ended.sort_by_key(|(phone, _)| phone.to_string());
    let expected: Vec<_> = phones(1..=12)
        .into_iter()
        .map(|phone| (json!(phone), json!("DELIVRD")))
        .collect();
    assert_eq!(
        ended, expected,
        "each once, as it ended, after it was sent again"
    );
}
