//! State changes of a schedule: each state against each call, and the effects on rows, queue and
//! scheduler.

use std::sync::atomic::Ordering;

use crate::common::{
    Answer, Api, in_seconds, phones,
    states::{cut, execute, put_in_state, times},
};
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::platform::{db::MIGRATOR, queue::DispatchMessage};
use sqlx::MySqlPool;
use uuid::Uuid;

/// The states of a schedule and the calls that each allows.
const POSSIBLE: [(&str, &[&str]); 11] = [
    ("draft", &["append", "patch", "activate", "cancel"]),
    (
        "awaiting-approval",
        &["append", "patch", "approve", "reject", "cancel"],
    ),
    ("scheduled", &["append", "patch", "pause", "cancel"]),
    (
        "running",
        &[
            "patch-rate",
            "patch-priority",
            "patch-end",
            "pause",
            "cancel",
        ],
    ),
    (
        "running, missed",
        &[
            "patch-rate",
            "patch-priority",
            "patch-end",
            "pause",
            "cancel",
        ],
    ),
    ("paused", &["patch", "resume", "cancel"]),
    (
        "paused, cut",
        &[
            "patch-rate",
            "patch-priority",
            "patch-end",
            "resume",
            "cancel",
        ],
    ),
    ("finished", &["resend"]),
    ("cancelled", &[]),
    ("missed", &["send-now", "cancel"]),
    ("missed, cut", &["send-now", "cancel"]),
];

/// Returns the status after an allowed call.
fn status_after(step: &str, state: &'static str) -> &'static str {
    match step {
        "append" | "patch" => state,
        "activate" => "scheduled",
        "pause" => "paused",
        "resume" if state == "paused" => "scheduled",
        "send-now" if state == "missed" => "scheduled",
        "resume" | "send-now" => "running",
        _ => "cancelled",
    }
}

async fn call(api: &Api, id: Uuid, step: &str) -> Answer {
    match step {
        "append" => {
            api.append(id, "", "text/csv", phones(10..11).join(""))
                .await
        }
        "patch" => api.patch(id, &json!({"run_at": in_seconds(7_200)})).await,
        step => api.post_step(id, step).await,
    }
}

/// Checks that a call is refused with the status of the schedule and its possible calls.
fn assert_refused(answer: &Answer, state: &str, step: &str, possible: &[&str]) {
    let problem = match (step, state) {
        ("append" | "patch", _) => "schedule-begun",
        ("send-now", "running" | "finished") => "nothing-missed",
        _ => "wrong-state",
    };
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::CONFLICT, problem),
        "{state} {step}"
    );
    assert_eq!(
        answer.body["schedule_status"],
        state.split(',').next().unwrap()
    );
    assert_eq!(answer.body["possible"], json!(possible), "{state} {step}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_state_allows_exactly_its_possible_calls(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let steps = [
        "append", "patch", "activate", "pause", "resume", "cancel", "send-now", "resend",
    ];
    for (state, possible) in POSSIBLE {
        for step in steps {
            let id = api.schedule(&phones(0..10)).await;
            put_in_state(&pool, id, state).await;
            let answer = call(&api, id, step).await;
            if (state, step) == ("finished", "resend") {
                // It has no batches, so nobody is UNDELIV.
                assert_eq!(answer.problem(), "nothing-to-resend");
                continue;
            }
            let others = [("running, missed", "send-now"), ("cancelled", "cancel")];
            let is_paused_again = step == "pause" && state.starts_with("paused");
            if !possible.contains(&step) && !others.contains(&(state, step)) && !is_paused_again {
                assert_refused(&answer, state, step, possible);
                continue;
            }
            assert_eq!(
                answer.status,
                StatusCode::OK,
                "{state} {step}: {}",
                answer.body
            );
            let expected = status_after(step, state);
            let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
            assert_eq!(shown["status"], expected, "{state} {step}");
            assert_eq!(
                shown["paused_at"].is_string(),
                expected == "paused",
                "{state} {step}"
            );
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_draft_is_activated_only_with_recipients_and_a_future_run_at(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&[]).await;
    let answer = api.post_step(id, "activate").await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::CONFLICT, "no-recipients")
    );
    api.append(id, "", "text/csv", "+12012000000").await;
    execute(
        &pool,
        id,
        "UPDATE schedules SET run_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ?",
    )
    .await;
    let answer = api.post_step(id, "activate").await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::CONFLICT, "run-at-past")
    );
    execute(
        &pool,
        id,
        "UPDATE schedules SET run_at = UTC_TIMESTAMP(3) + INTERVAL 30 SECOND WHERE id = ?",
    )
    .await;
    assert_eq!(
        api.post_step(id, "activate").await.body["status"],
        "scheduled"
    );
    assert_eq!(
        *api.fakes.queued.lock().unwrap(),
        [DispatchMessage {
            schedule_id: id,
            version: 1
        }]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_schedule_paused_before_its_cut_gets_a_new_one_time_schedule(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..10)).await;
    let message = |version| DispatchMessage {
        schedule_id: id,
        version,
    };
    api.fakes.created.lock().unwrap().clear();
    api.post_step(id, "pause").await;
    assert_eq!(*api.fakes.deleted.lock().unwrap(), [message(1)]);
    let resumed = api.post_step(id, "resume").await.body;
    assert_eq!(
        (&resumed["status"], &resumed["version"]),
        (&json!("scheduled"), &json!(2))
    );
    assert_eq!(api.fakes.created.lock().unwrap()[0].0, message(2));
    api.post_step(id, "pause").await;
    execute(
        &pool,
        id,
        "UPDATE schedules SET run_at = '2020-01-01' WHERE id = ?",
    )
    .await;
    let refused = api.post_step(id, "resume").await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::CONFLICT, "run-at-past")
    );
    let path = format!("/v1/schedules/{id}/resume");
    let wrong = api.post_json(&path, &json!({"now": 1, "then": true})).await;
    assert_eq!(wrong.body["errors_total"], 2, "{}", wrong.body);
    let resumed = api.post_json(&path, &json!({"now": true})).await.body;
    let run_at = DateTime::parse_from_rfc3339(resumed["run_at"].as_str().unwrap())
        .unwrap()
        .to_utc();
    assert!((Utc::now() - run_at).num_seconds().abs() < 5);
    assert_eq!(*api.fakes.queued.lock().unwrap(), [message(3)]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn unsent_batches_are_postponed_by_the_length_of_the_pause(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..10)).await;
    cut(&pool, id).await;
    execute(&pool, id, "UPDATE batches SET send_at = NULL, check_at = sweep_at WHERE schedule_id = ? AND batch_no = 2").await;
    put_in_state(&pool, id, "paused, cut").await;
    let planned = times(&pool, id, 1).await.0;
    api.post_step(id, "resume").await;
    let (moved, send_at, sweep_at) = times(&pool, id, 1).await;
    let by = moved - planned;
    assert!(
        by >= TimeDelta::seconds(60) && by < TimeDelta::seconds(65),
        "{by}"
    );
    assert_eq!(send_at, moved);
    assert!(
        sweep_at > Utc::now() + TimeDelta::days(1000),
        "it waits for its turn"
    );
    let turns = "SELECT COUNT(*) FROM turns WHERE ready_at <= UTC_TIMESTAMP(3)";
    let turns: i64 = sqlx::query_scalar(turns).fetch_one(&pool).await.unwrap();
    assert_eq!(turns, 1);
    let checked: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM batches WHERE batch_no = 2 AND planned_at = ? AND send_at IS NULL",
    )
    .bind(planned)
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(checked, 1);
    assert!(api.fakes.queued.lock().unwrap().is_empty());
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 1);
}

/// Creates a running schedule with two batches: the released one is counted by its counters, the
/// claimed one by its rows. Five messages were already sent.
async fn partly_sent(api: &Api, pool: &MySqlPool) -> Uuid {
    let id = api.schedule(&phones(0..10)).await;
    cut(pool, id).await;
    put_in_state(pool, id, "running").await;
    let sent = "UPDATE recipients SET attempt = 1, sent_at = UTC_TIMESTAMP(3)";
    for sql in [
        "UPDATE batches SET pending = 2, delivrd = 3 WHERE schedule_id = ? AND batch_no = 1",
        "UPDATE batches SET pending = 5, delivrd = 0 WHERE schedule_id = ? AND batch_no = 2",
        &format!("{sent}, status = 'SENDING' WHERE schedule_id = ? AND seq = 6"),
        &format!("{sent}, status = 'UNCERTAIN' WHERE schedule_id = ? AND seq = 7"),
    ] {
        execute(pool, id, sql).await;
    }
    id
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_cancel_reports_how_many_messages_were_already_sent(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = partly_sent(&api, &pool).await;
    let answer = api.post_step(id, "cancel").await.body;
    assert_eq!(
        (&answer["status"], &answer["already_sent"]),
        (&json!("cancelled"), &json!(5))
    );
    let counts: Vec<_> = answer["counts"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, count)| **count != 0)
        .collect();
    let expected = [
        ("DELIVRD", 3),
        ("PENDING", 5),
        ("SENDING", 1),
        ("UNCERTAIN", 1),
    ]
    .map(|(name, n)| (name.to_owned(), json!(n)));
    assert_eq!(
        counts,
        expected
            .iter()
            .map(|(name, n)| (name, n))
            .collect::<Vec<(&String, &Value)>>()
    );
    assert!(
        (Utc::now() - times(&pool, id, 1).await.1)
            .num_seconds()
            .abs()
            < 5
    );
    assert_eq!(times(&pool, id, 2).await.1, times(&pool, id, 2).await.0);
    assert!(api.fakes.queued.lock().unwrap().is_empty());
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_schedule_cancelled_before_its_cut_is_closed_by_dispatch(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..10)).await;
    let answer = api.post_step(id, "cancel").await.body;
    assert_eq!(
        (&answer["already_sent"], &answer["counts"]["PENDING"]),
        (&json!(0), &json!(10))
    );
    let message = DispatchMessage {
        schedule_id: id,
        version: 1,
    };
    assert_eq!(*api.fakes.deleted.lock().unwrap(), [message]);
    assert_eq!(*api.fakes.queued.lock().unwrap(), [message]);
}
