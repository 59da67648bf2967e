//! All functions together: a list is posted, EventBridge fires ahead of time, and the carrier
//! throttles, loses responses, forgets ids and fails to deliver. Workers crash and queue messages
//! are lost. At the end each recipient has received the text once.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod gate;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::{DispatchedBy, Trigger};
use serde_json::json;
use shared::platform::{
    budget::Budget,
    queue::{BatchMessage, DispatchMessage},
};
use simulator::{Settings, UnknownId};
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture, with_own_ids};
use uuid::Uuid;

use gate::{Api, phones};

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

/// Runs the sweep once per minute and processes the queues, until the schedule has finished.
async fn run_until_finished(stage: &Stage, schedule_id: Uuid) {
    for _ in 0..200 {
        stage.db.clock.advance(Duration::from_secs(60));
        stage.dispatcher.sweep(|| true).await.unwrap();
        stage.work().await;
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
    let stage = Stage::with_carrier(pool, faulty_carrier(), with_own_ids).await;
    let api = Api::new(&stage).await;

    let run_at = stage.db.now() + TimeDelta::minutes(10);
    let schedule = post_forty_recipients(&api, run_at).await;
    let (message, fire_at) = api.scheduler.waiting()[0];
    assert_eq!((run_at - fire_at).num_seconds(), 90);

    let batches = dispatch_twice(&stage, message, fire_at).await;
    stage.db.clock.advance(Duration::from_secs(70));
    let crashed = Box::pin(send_with_faults(&stage, &batches)).await;
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

/// Sends the batches: the worker crashes during the first, the second's message is lost, and the
/// third is delivered three times at the same time. Returns whether the first worker crashed in
/// time.
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
        .fetch_all(&stage.db)
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
        .fetch_one(&stage.db)
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
            stage.work().await;
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
        .fetch_one(&stage.db)
        .await
        .unwrap();
    assert_eq!(dispatched_by, DispatchedBy::Sweep.as_str());
}

/// Posts a schedule with the same text for each of 25 appointments: two for each of twelve numbers, in
/// a row, and a third for the first one.
async fn post_appointments(stage: &Stage, api: &Api) -> Uuid {
    let (numbers, third) = (phones(1..=12), phones(1..=1));
    let twice = numbers.iter().flat_map(|phone| [phone, phone]);
    let recipients: Vec<_> = twice
        .chain(&third)
        .enumerate()
        .map(|(n, phone)| json!({"phone": phone, "reference": format!("R{n}")}))
        .collect();
    let run_at = stage.db.now() + TimeDelta::minutes(1);
    let body = json!({"run_at": run_at.to_rfc3339(), "message": "Hello", "recipients": recipients, "unique_by": "reference", "max_attempts": 10});
    api.create(&body).await
}

/// Asserts that each appointment has one message of the carrier, which that has sent.
async fn assert_each_appointment_is_sent(stage: &Stage, schedule: Uuid) {
    assert_eq!(fixture::count(&stage.db, schedule, "DELIVRD").await, 25);
    fixture::assert_counts(&stage.db, schedule).await;
    let sql = "SELECT message_id FROM recipients WHERE schedule_id = ? UNION ALL SELECT message_id FROM attempts WHERE schedule_id = ?";
    let query = sqlx::query_scalar(sql).bind(schedule).bind(schedule);
    let mut recorded: Vec<String> = query.fetch_all(&stage.db).await.unwrap();
    let ledger = stage.simulator.carrier().ledger().into_iter();
    let mut sent: Vec<String> = ledger.map(|line| line.message_id).collect();
    recorded.sort();
    sent.sort();
    assert_eq!(recorded, sent);
}

/// A request carries up to a hundred numbers. The simulator sends a number once per request, as
/// carriers do, and answers with an id for each time that the request has it.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_of_two_messages_to_one_number_is_sent_once(pool: MySqlPool) {
    let settings = Settings {
        seed: Some(7),
        busy_429: 0.1,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let api = Api::new(&stage).await;
    let schedule = post_appointments(&stage, &api).await;
    run_until_finished(&stage, schedule).await;
    assert_each_appointment_is_sent(&stage, schedule).await;
    let acceptances = stage.acceptances();
    let times: Vec<_> = acceptances.iter().map(|(_, times)| *times).collect();
    assert_eq!(
        times,
        [3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2],
        "{acceptances:?}"
    );
}

/// Answers are lost, and messages end UNDELIV and are sent again: each attempt is that of one
/// recipient.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn two_messages_to_one_number_are_told_apart_despite_faults(pool: MySqlPool) {
    let stage = Stage::with_carrier(pool, faulty_carrier(), with_own_ids).await;
    let api = Api::new(&stage).await;
    let schedule = post_appointments(&stage, &api).await;
    run_until_finished(&stage, schedule).await;
    assert_each_appointment_is_sent(&stage, schedule).await;
    assert_resends_are_allowed(&stage).await;
}
