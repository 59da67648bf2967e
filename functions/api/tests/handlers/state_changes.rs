//! State changes of a schedule: each state against each call, and the effects on rows, queue and
//! scheduler.

use std::sync::atomic::Ordering;

use crate::common::{Answer, Api, in_seconds, phones};
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::platform::{db::MIGRATOR, queue::DispatchMessage};
use sqlx::MySqlPool;
use uuid::Uuid;

/// Executes a statement on a schedule.
async fn execute(pool: &MySqlPool, id: Uuid, sql: &str) {
    sqlx::query(sql).bind(id).execute(pool).await.unwrap();
}

/// Puts a schedule of ten recipients into a state, as the workers would.
async fn put_in_state(pool: &MySqlPool, id: Uuid, status: &str) {
    let done = "batch_count = 2, dispatched_at = UTC_TIMESTAMP(3), dispatched_by = 'queue'";
    let assignments = match status {
        "draft" | "scheduled" | "missed" => "batch_count = NULL".to_owned(),
        "paused" => "paused_at = UTC_TIMESTAMP(3) - INTERVAL 60 SECOND, pause_reason = 'HTTP 401'"
            .to_owned(),
        "paused, cut" => format!("paused_at = UTC_TIMESTAMP(3) - INTERVAL 60 SECOND, {done}"),
        "finished" => format!("finished_at = UTC_TIMESTAMP(3), {done}"),
        _ => done.to_owned(),
    };
    if status == "running, missed" || status == "missed, cut" {
        cut(pool, id).await;
        execute(pool, id, "UPDATE batches SET missed_at = UTC_TIMESTAMP(3), send_at = NULL, check_at = sweep_at WHERE schedule_id = ?")
            .await;
    }
    let status = status.split(',').next().unwrap();
    execute(
        pool,
        id,
        &format!("UPDATE schedules SET status = '{status}', {assignments} WHERE id = ?"),
    )
    .await;
}

/// Inserts two batches of five recipients, planned for 2031. The second is claimed.
async fn cut(pool: &MySqlPool, id: Uuid) {
    for (no, first, claim) in [
        (1, 1, "NULL, NULL"),
        (2, 6, "UNHEX(REPEAT('0F', 16)), UTC_TIMESTAMP(3)"),
    ] {
        let values = format!("?, {no}, {first}, {first} + 4, 5, @t, @t, @t, {claim}");
        let sql = format!(
            "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, pending, planned_at, send_at, sweep_at, claim_token,
               claimed_until) VALUES ({})",
            values.replace("@t", "TIMESTAMP('2031-01-01 00:00:00')")
        );
        execute(pool, id, &sql).await;
    }
}

/// Returns `planned_at`, `send_at` and `sweep_at` of a batch.
async fn times(
    pool: &MySqlPool,
    id: Uuid,
    no: u32,
) -> (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>) {
    let sql =
        "SELECT planned_at, send_at, sweep_at FROM batches WHERE schedule_id = ? AND batch_no = ?";
    sqlx::query_as(sql)
        .bind(id)
        .bind(no)
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_state_allows_exactly_its_possible_calls(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let none: &[&str] = &[];
    let table: [(&str, &[&str]); 10] = [
        ("draft", &["append", "patch", "activate", "cancel"]),
        ("scheduled", &["append", "patch", "pause", "cancel"]),
        ("running", &["patch-rate", "pause", "cancel"]),
        ("running, missed", &["patch-rate", "pause", "cancel"]),
        ("paused", &["patch", "resume", "cancel"]),
        ("paused, cut", &["patch-rate", "resume", "cancel"]),
        ("finished", none),
        ("cancelled", none),
        ("missed", &["send-now", "cancel"]),
        ("missed, cut", &["send-now", "cancel"]),
    ];
    let becomes = |step, state: &'static str| match step {
        "append" | "patch" => state,
        "activate" => "scheduled",
        "pause" => "paused",
        "resume" if state == "paused" => "scheduled",
        "send-now" if state == "missed" => "scheduled",
        "resume" | "send-now" => "running",
        _ => "cancelled",
    };
    for (state, possible) in table {
        for step in [
            "append", "patch", "activate", "pause", "resume", "cancel", "send-now",
        ] {
            let id = api.schedule(&phones(0..10)).await;
            put_in_state(&pool, id, state).await;
            let answer: Answer = match step {
                "append" => {
                    api.append(id, "", "text/csv", phones(10..11).join(""))
                        .await
                }
                "patch" => api.patch(id, &json!({"run_at": in_seconds(7_200)})).await,
                step => api.post_step(id, step).await,
            };
            if possible.contains(&step) || (state, step) == ("running, missed", "send-now") {
                assert_eq!(
                    answer.status,
                    StatusCode::OK,
                    "{state} {step}: {}",
                    answer.body
                );
                let expected = becomes(step, state);
                let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
                assert_eq!(shown["status"], expected, "{state} {step}");
                assert_eq!(
                    shown["paused_at"].is_string(),
                    expected == "paused",
                    "{state} {step}"
                );
            } else {
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
    let resumed = api.post_step(id, "resume").await.body;
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
    assert!((Utc::now() - sweep_at).num_seconds().abs() < 5);
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

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_cancel_reports_how_many_messages_were_already_sent(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..10)).await;
    cut(&pool, id).await;
    put_in_state(&pool, id, "running").await;
    // The released batch is counted by its counters, the claimed batch by its rows.
    execute(
        &pool,
        id,
        "UPDATE batches SET pending = 2, delivrd = 3 WHERE schedule_id = ? AND batch_no = 1",
    )
    .await;
    execute(
        &pool,
        id,
        "UPDATE batches SET pending = 5, delivrd = 0 WHERE schedule_id = ? AND batch_no = 2",
    )
    .await;
    let sent = "UPDATE recipients SET attempt = 1, sent_at = UTC_TIMESTAMP(3)";
    execute(
        &pool,
        id,
        &format!("{sent}, status = 'SENDING' WHERE schedule_id = ? AND seq = 6"),
    )
    .await;
    execute(
        &pool,
        id,
        &format!("{sent}, status = 'UNCERTAIN' WHERE schedule_id = ? AND seq = 7"),
    )
    .await;
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

/// Returns a batch as a line: whether it is held, then `send_at check_at sweep_at planned_at` as now or
/// later, then its tries.
async fn dues(pool: &MySqlPool, id: Uuid, no: u32) -> String {
    let sql = "SELECT CONCAT_WS(' ', IF(missed_at IS NULL, '-', 'held'),
          CASE WHEN send_at IS NULL THEN '-' WHEN send_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END,
          CASE WHEN check_at IS NULL THEN '-' WHEN check_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END,
          CASE WHEN sweep_at IS NULL THEN '-' WHEN sweep_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END,
          CASE WHEN planned_at < UTC_TIMESTAMP(3) + INTERVAL 1 SECOND THEN 'now' ELSE 'later' END, tries)
        FROM batches WHERE schedule_id = ? AND batch_no = ?";
    sqlx::query_scalar(sql)
        .bind(id)
        .bind(no)
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_missed_schedule_can_be_sent_now_or_cancelled(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..10)).await;
    put_in_state(&pool, id, "missed").await;
    execute(
        &pool,
        id,
        "UPDATE schedules SET run_at = '2020-01-01' WHERE id = ?",
    )
    .await;
    let answer = api.post_step(id, "send-now").await.body;
    assert_eq!(
        (&answer["status"], &answer["version"], &answer["batches"]),
        (&json!("scheduled"), &json!(2), &json!(0))
    );
    let run_at = DateTime::parse_from_rfc3339(answer["run_at"].as_str().unwrap())
        .unwrap()
        .to_utc();
    assert!((Utc::now() - run_at).num_seconds().abs() < 5);
    assert_eq!(
        *api.fakes.queued.lock().unwrap(),
        [DispatchMessage {
            schedule_id: id,
            version: 2
        }]
    );
    let again = api.post_step(id, "send-now").await;
    assert_eq!(again.problem(), "wrong-state");

    let id = api.schedule(&phones(0..10)).await;
    put_in_state(&pool, id, "missed").await;
    assert_eq!(
        api.post_step(id, "cancel").await.body["status"],
        "cancelled"
    );
    assert_eq!(
        api.fakes.queued.lock().unwrap()[1],
        DispatchMessage {
            schedule_id: id,
            version: 1
        }
    );
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 0);
}

/// Three held batches, of which one is claimed, and one batch that is not held.
#[sqlx::test(migrator = "MIGRATOR")]
async fn held_batches_become_due_at_once_and_a_claimed_one_at_its_release(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for (state, step) in [
        ("running", "send-now"),
        ("missed, cut", "send-now"),
        ("running", "cancel"),
        ("missed, cut", "cancel"),
    ] {
        let id = api.schedule(&phones(0..10)).await;
        put_in_state(&pool, id, state).await;
        if state == "running" {
            cut(&pool, id).await;
            execute(
                &pool,
                id,
                "UPDATE batches SET missed_at = UTC_TIMESTAMP(3), send_at = NULL, check_at = sweep_at WHERE schedule_id = ?",
            )
            .await;
        }
        let rest = "planned_at, send_at, check_at, sweep_at, missed_at, tries, pending) SELECT schedule_id, ";
        let values = "20, 20, planned_at, NULL, NULL, NULL, missed_at, 5, 5 FROM batches WHERE schedule_id = ? AND batch_no = 1";
        execute(&pool, id, &format!("INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, {rest} 3, {values}")).await;
        let values = "30, 30, planned_at, sweep_at, NULL, sweep_at, NULL, 5, 5 FROM batches WHERE schedule_id = ? AND batch_no = 1";
        execute(&pool, id, &format!("INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, {rest} 4, {values}")).await;
        let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
        assert_eq!(
            shown["attention"],
            json!({"missed_batches": 3, "parked_batches": 0, "uncertain": 0})
        );
        let answer = api.post_step(id, step).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["attention"]["missed_batches"], 0);
        let dues = [
            dues(&pool, id, 1).await,
            dues(&pool, id, 2).await,
            dues(&pool, id, 3).await,
            dues(&pool, id, 4).await,
        ];
        if step == "send-now" {
            assert_eq!(
                (&answer.body["status"], &answer.body["batches"]),
                (&json!("running"), &json!(3))
            );
            assert_eq!(
                dues,
                [
                    "- now later now now 0",
                    "- - later later now 0",
                    "- now - now now 0",
                    "- later - later later 5"
                ]
            );
        } else {
            assert_eq!(answer.body["status"], "cancelled");
            assert_eq!(
                dues,
                [
                    "- now later now later 0",
                    "- - later later later 0",
                    "- now - now later 5",
                    "- now - now later 5"
                ]
            );
        }
    }
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 4);
}
