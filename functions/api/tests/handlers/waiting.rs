//! A schedule whose window is closed at `run_at` has not begun until the window opens: dispatch
//! leaves it, and everything can be changed.

use crate::common::{Api, LEAD, in_seconds, phones, request, rows, states::execute};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{DateTime, TimeDelta, Utc};
use dispatch::DispatchedBy;
use serde_json::{Value, json};
use shared::platform::{db::MIGRATOR, queue::DispatchMessage};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, window};
use uuid::Uuid;

const LEAD_AND_TOLERANCE: TimeDelta = TimeDelta::seconds(100);

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

fn is_near(one: DateTime<Utc>, other: DateTime<Utc>) -> bool {
    (one - other).num_seconds().abs() < 20
}

/// Creates a schedule for in an hour, whose window opens in two.
async fn waiting(api: &Api) -> Uuid {
    let window = window::daily(Utc::now(), 120..180);
    let mut body = request();
    (body["window"], body["recipients"]) = (json!(window), json!(phones(0..6)));
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    created.id()
}

/// Lets `run_at` pass: an hour ago. The window is as it was.
async fn pass_run_at(pool: &MySqlPool, id: Uuid) {
    rows::schedule(pool, id, "run_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR").await;
}

async fn shown(api: &Api, id: Uuid) -> Value {
    api.get(&format!("/v1/schedules/{id}")).await.body
}

async fn opens_at(pool: &MySqlPool, id: Uuid) -> Option<DateTime<Utc>> {
    sqlx::query_scalar("SELECT opens_at FROM schedules WHERE id = ?")
        .bind(id)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Dispatches the schedule as EventBridge and the sweep do, and returns its status.
async fn dispatched(stage: &Stage, schedule: &Value) -> String {
    let message = DispatchMessage {
        schedule_id: schedule["id"].as_str().unwrap().parse().unwrap(),
        version: schedule["version"].as_u64().unwrap() as u32,
    };
    let dispatcher = &stage.dispatcher;
    dispatcher
        .dispatch(message, DispatchedBy::EventBridge)
        .await
        .unwrap();
    dispatcher.sweep(|| true).await.unwrap();
    fixture::status(&stage.db, message.schedule_id).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_schedule_waits_for_its_window_and_can_be_changed_until_then(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let stage = Stage::new(pool.clone(), Settings::default()).await;
    let id = waiting(&api).await;
    let opens = opens_at(&pool, id).await.unwrap();
    assert_eq!(api.fakes.created.lock().unwrap()[0].1, opens - LEAD);
    pass_run_at(&pool, id).await;
    let schedule = shown(&api, id).await;
    assert_eq!(
        (
            time(&schedule["changeable_until"]),
            time(&schedule["next_send_at"])
        ),
        (opens - LEAD_AND_TOLERANCE, opens)
    );
    assert_eq!(
        schedule["forecast"]["planned_start"],
        schedule["next_send_at"]
    );
    assert_eq!(schedule["attention"]["kinds"], json!([]));
    assert_eq!(dispatched(&stage, &schedule).await, "scheduled");
    // Text, rate, list and single recipients.
    let text = json!({"message": "Doors open at nine", "rate": 50});
    let changed = api.patch(id, &text).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!(
        (&changed.body["version"], &changed.body["run_at"]),
        (&json!(1), &schedule["run_at"])
    );
    let list = json!(phones(6..8)).to_string();
    let appended = api.append(id, "", "application/json", list).await;
    assert_eq!(appended.body["accepted"], 2, "{}", appended.body);
    let path = format!("/v1/schedules/{id}/recipients/1");
    let number = json!({"phone": "+12013000000"}).to_string();
    let request = Request::patch(path).header("content-type", "application/json");
    let one = api.call(request.body(Body::from(number)).unwrap()).await;
    assert_eq!(one.status, StatusCode::OK, "{}", one.body);
    assert_eq!(dispatched(&stage, &changed.body).await, "scheduled");
    // What was changed is sent.
    let until_open = opens - stage.db.now() - TimeDelta::seconds(60);
    stage.db.clock.advance(until_open.to_std().unwrap());
    stage.dispatcher.sweep(|| true).await.unwrap();
    assert_eq!(fixture::status(&stage.db, id).await, "running");
    let late = api.patch(id, &json!({"message": "Too late"})).await;
    assert_eq!(late.problem(), "schedule-begun");
    stage.play().await;
    let ledger = stage.simulator.carrier().ledger();
    assert_eq!(ledger.len(), 8);
    assert!(ledger.iter().all(|line| line.text == "Doors open at nine"));
    assert!(ledger.iter().any(|line| line.dnis.ends_with("12013000000")));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn another_window_is_another_start(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = waiting(&api).await;
    pass_run_at(&pool, id).await;
    api.fakes.created.lock().unwrap().clear();
    let message = |version| DispatchMessage {
        schedule_id: id,
        version,
    };
    let run_at = shown(&api, id).await["run_at"].clone();
    let later = window::daily(Utc::now(), 240..300);
    let changed = api.patch(id, &json!({"window": later})).await.body;
    let opens = later.next_open(Utc::now());
    assert_eq!(
        (&changed["version"], &changed["run_at"]),
        (&json!(2), &run_at)
    );
    assert_eq!(time(&changed["next_send_at"]), opens);
    assert_eq!(opens_at(&pool, id).await, Some(opens));
    assert_eq!(*api.fakes.deleted.lock().unwrap(), [message(1)]);
    assert_eq!(
        *api.fakes.created.lock().unwrap(),
        [(message(2), opens - LEAD)]
    );
    // The same hours begin at the same time.
    let same = api.patch(id, &json!({"window": later})).await.body;
    assert_eq!(same["version"], 2);
    // Without a window it would have begun at `run_at`: it begins now, and is not late.
    let open = api.patch(id, &json!({"window": null})).await.body;
    assert_eq!(
        (&open["status"], &open["version"]),
        (&json!("scheduled"), &json!(3))
    );
    assert!(is_near(time(&open["run_at"]), Utc::now()), "{open}");
    assert_eq!(opens_at(&pool, id).await, None);
    assert_eq!(*api.fakes.queued.lock().unwrap(), [message(3)]);
    let logged = api.get("/v1/audit?limit=1").await.body["entries"][0].clone();
    assert_eq!(
        (
            time(&logged["before"]["run_at"]),
            time(&logged["after"]["run_at"])
        ),
        (time(&run_at), time(&open["run_at"]))
    );
    let stage = Stage::new(pool, Settings::default()).await;
    assert_eq!(dispatched(&stage, &open).await, "running");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_window_that_was_open_since_run_at_begins_now(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = waiting(&api).await;
    pass_run_at(&pool, id).await;
    let open = window::daily(Utc::now(), -30..30);
    let changed = api.patch(id, &json!({"window": open})).await.body;
    assert_eq!(changed["version"], 2, "{changed}");
    assert!(is_near(time(&changed["run_at"]), Utc::now()), "{changed}");
    assert_eq!(opens_at(&pool, id).await, None);
    // An end that leaves no time in the window is refused, as before `run_at`.
    let id = waiting(&api).await;
    pass_run_at(&pool, id).await;
    let end = json!({"send_until": in_seconds(3_000)});
    let refused = api.patch(id, &end).await;
    assert_eq!(
        refused.body["errors"][0]["code"], "window-closed",
        "{}",
        refused.body
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_pause_before_the_window_opens_ends_without_a_new_time(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = waiting(&api).await;
    let opens = opens_at(&pool, id).await.unwrap();
    api.post_step(id, "pause").await;
    pass_run_at(&pool, id).await;
    let paused = shown(&api, id).await;
    assert_eq!(paused["attention"]["kinds"], json!([]), "it has time");
    assert_eq!(api.get("/v1/attention").await.body["total"], 0);
    api.fakes.created.lock().unwrap().clear();
    let resumed = api.post_step(id, "resume").await;
    assert_eq!(resumed.status, StatusCode::OK, "{}", resumed.body);
    assert_eq!(
        (&resumed.body["run_at"], &resumed.body["version"]),
        (&paused["run_at"], &json!(2))
    );
    let message = DispatchMessage {
        schedule_id: id,
        version: 2,
    };
    assert_eq!(
        *api.fakes.created.lock().unwrap(),
        [(message, opens - LEAD)]
    );
    // Its window has opened during the pause.
    api.post_step(id, "pause").await;
    let open = serde_json::to_string(&window::daily(Utc::now(), -30..30)).unwrap();
    let opened =
        format!("send_window = '{open}', opens_at = UTC_TIMESTAMP(3) - INTERVAL 30 MINUTE");
    rows::schedule(&pool, id, &opened).await;
    let kinds = &shown(&api, id).await["attention"]["kinds"];
    assert_eq!(*kinds, json!(["paused"]));
    assert_eq!(api.post_step(id, "resume").await.problem(), "run-at-past");
    let path = format!("/v1/schedules/{id}/resume");
    let resumed = api.post_json(&path, &json!({"now": true})).await.body;
    assert!(is_near(time(&resumed["run_at"]), Utc::now()), "{resumed}");
    assert_eq!(opens_at(&pool, id).await, None);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_sent_now_waits_for_its_window(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = waiting(&api).await;
    let opens = opens_at(&pool, id).await.unwrap();
    let missed = "UPDATE schedules SET status = 'missed', run_at = '2020-01-01', opens_at = NULL WHERE id = ?";
    execute(&pool, id, missed).await;
    api.fakes.created.lock().unwrap().clear();
    let answer = api.post_step(id, "send-now").await.body;
    assert_eq!(
        (&answer["status"], time(&answer["next_send_at"])),
        (&json!("scheduled"), opens)
    );
    assert_eq!(opens_at(&pool, id).await, Some(opens));
    assert_eq!(api.fakes.created.lock().unwrap()[0].1, opens - LEAD);
}
