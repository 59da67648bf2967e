//! Changes of a schedule: allowed values, effects on one-time schedules, and a concurrent cut.

use std::time::Duration;

use crate::common::{Api, LEAD, in_seconds, phones};
use api::resources::schedules::store::lock_schedule;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::platform::{db::MIGRATOR, queue::DispatchMessage};
use sqlx::MySqlPool;
use uuid::Uuid;

fn time(value: &Value) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(value.as_str().unwrap())
        .unwrap()
        .to_utc()
}

/// The update of a cut on a schedule row, conditional on the version that its event names.
const CUT: &str =
    "UPDATE schedules SET status = 'running', batch_count = 1, dispatched_at = UTC_TIMESTAMP(3)
    WHERE id = ? AND version = 1 AND status = 'scheduled'";

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_new_run_at_gets_a_new_one_time_schedule(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    let message = |version| DispatchMessage {
        schedule_id: id,
        version,
    };
    api.fakes.created.lock().unwrap().clear();
    let run_at = (Utc::now() + TimeDelta::days(2))
        .format("%FT%T+08:00")
        .to_string();
    let changed = api.patch(id, &json!({"run_at": run_at})).await;
    assert_eq!(
        (changed.status, &changed.body["run_at"]),
        (StatusCode::OK, &json!(run_at)),
        "{}",
        changed.body
    );
    assert_eq!(
        (&changed.body["status"], &changed.body["version"]),
        (&json!("scheduled"), &json!(2))
    );
    assert_eq!(
        time(&changed.body["run_at"]) - time(&changed.body["changeable_until"]),
        TimeDelta::seconds(100)
    );
    assert_eq!(*api.fakes.deleted.lock().unwrap(), [message(1)]);
    assert_eq!(
        *api.fakes.created.lock().unwrap(),
        [(message(2), time(&changed.body["run_at"]) - LEAD)]
    );
    // Due so soon that it is enqueued directly.
    assert_eq!(
        api.patch(id, &json!({"run_at": in_seconds(30)})).await.body["version"],
        3
    );
    assert_eq!(*api.fakes.queued.lock().unwrap(), [message(3)]);
    // A failing scheduler does not prevent the write: the sweep finds the row.
    api.fakes
        .broken
        .store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        api.patch(id, &json!({"run_at": in_seconds(600)}))
            .await
            .body["version"],
        4
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn drafts_and_paused_schedules_get_no_one_time_schedule(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let draft = api.schedule(&[]).await;
    let paused = api.schedule(&phones(0..3)).await;
    api.post_step(paused, "pause").await;
    api.fakes.created.lock().unwrap().clear();
    api.fakes.deleted.lock().unwrap().clear();
    for (id, status) in [(draft, "draft"), (paused, "paused")] {
        let changed = api
            .patch(id, &json!({"run_at": in_seconds(7_200)}))
            .await
            .body;
        assert_eq!(
            (&changed["status"], &changed["version"]),
            (&json!(status), &json!(2))
        );
        assert_eq!(changed["changeable_until"], Value::Null);
    }
    assert!(
        api.fakes.created.lock().unwrap().is_empty()
            && api.fakes.deleted.lock().unwrap().is_empty()
    );
    let resumed = api.post_step(paused, "resume").await.body;
    assert!(
        (time(&resumed["run_at"]) - Utc::now()).num_seconds() > 7_000,
        "the new run_at is kept"
    );
    assert_eq!(
        api.fakes.created.lock().unwrap()[0].0,
        DispatchMessage {
            schedule_id: paused,
            version: 3
        }
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_change_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    #[rustfmt::skip]
    let table: [(Value, &[(&str, &str)]); 13] = [
        (json!({}), &[("", "nothing-to-change")]),
        (json!({"run_at": null}), &[("run_at", "wrong-type")]),
        (json!({"run_at": in_seconds(-1)}), &[("run_at", "in-the-past")]),
        (json!({"run_at": in_seconds(366 * 86_400)}), &[("run_at", "too-far-ahead")]),
        (json!({"run_at": "2030-01-31T09:00:00"}), &[("run_at", "no-offset")]),
        (json!({"run_at": 7}), &[("run_at", "not-a-time")]),
        (json!({"message": " "}), &[("message", "empty")]),
        (json!({"message": null, "max_attempts": null}), &[("message", "wrong-type"), ("max_attempts", "wrong-type")]),
        (json!({"message": "a".repeat(1_531)}), &[("message", "too-long")]),
        (json!({"rate": 0, "sender": "Twelve chars"}), &[("sender", "not-a-sender"), ("rate", "out-of-range")]),
        (json!({"on_uncertain": "shrug", "resend_within_s": -1}), &[("resend_within_s", "out-of-range"), ("on_uncertain", "not-a-choice")]),
        (json!({"run_at": in_seconds(60), "recipients": []}), &[("recipients", "unknown-field")]),
        (json!({"status": "paused"}), &[("status", "unknown-field")]),
    ];
    for (body, expected) in table {
        let answer = api.patch(id, &body).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
            "{body}"
        );
        let errors = answer.body["errors"].as_array().unwrap();
        let errors: Vec<_> = errors
            .iter()
            .map(|e| (e["field"].as_str().unwrap(), e["code"].as_str().unwrap()))
            .collect();
        assert_eq!(errors, expected, "{body}");
    }
    assert_eq!(
        api.get(&format!("/v1/schedules/{id}")).await.body["version"],
        1
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn all_fields_but_the_recipients_can_change_before_the_cut(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    api.fakes.created.lock().unwrap().clear();
    let edit = json!({"message": "Grüße ж", "sender": "ACME", "rate": 7, "max_attempts": 1, "max_lateness_s": 60,
        "resend_within_s": 0, "on_uncertain": "resend"});
    let changed = api.patch(id, &edit).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    for (name, value) in edit.as_object().unwrap() {
        assert_eq!(&changed.body[name], value, "{name}");
    }
    assert_eq!(
        (
            &changed.body["encoding"],
            &changed.body["parts"],
            &changed.body["version"]
        ),
        (&json!("UCS-2"), &json!(1), &json!(1))
    );
    assert!(
        api.fakes.created.lock().unwrap().is_empty(),
        "run_at and its one-time schedule are unchanged"
    );
    let cleared = api
        .patch(id, &json!({"sender": null, "rate": null}))
        .await
        .body;
    assert_eq!(
        (&cleared["sender"], &cleared["rate"], &cleared["message"]),
        (&Value::Null, &Value::Null, &json!("Grüße ж"))
    );
    let log = api.admin().await.audit("&action=schedule.change").await;
    assert_eq!(log[0]["before"], json!({"sender": "ACME", "rate": 7}));
    assert_eq!(log[0]["after"], json!({"sender": null, "rate": null}));
    // The log keeps the hash of a text.
    let hash = log[1]["after"]["message"].clone();
    assert!(hash.as_str().unwrap().starts_with("sha256:"), "{hash}");
    let mut logged = edit.clone();
    logged["message"] = hash;
    assert_eq!(log[1]["after"], logged);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_change_during_a_cut_waits_and_is_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..1)).await;
    let mut cut = pool.begin().await.unwrap();
    lock_schedule(&mut cut, id).await.unwrap().unwrap();
    let change = tokio::spawn({
        let api = api.clone();
        async move { api.patch(id, &json!({"run_at": in_seconds(7_200)})).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!change.is_finished());
    assert_eq!(
        sqlx::query(CUT)
            .bind(id)
            .execute(&mut *cut)
            .await
            .unwrap()
            .rows_affected(),
        1
    );
    cut.commit().await.unwrap();
    let answer = change.await.unwrap();
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::CONFLICT, "schedule-begun")
    );
    assert_eq!(
        (&answer.body["schedule_status"], &answer.body["possible"]),
        (
            &json!("running"),
            &json!([
                "patch-rate",
                "patch-priority",
                "patch-end",
                "pause",
                "cancel"
            ])
        )
    );
    assert!(api.fakes.deleted.lock().unwrap().is_empty());
}

/// A hundred times, with a varying delay of the cut.
#[sqlx::test(migrator = "MIGRATOR")]
async fn of_a_concurrent_change_and_cut_exactly_one_succeeds(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (mut changed, mut cuts) = (0, 0);
    for n in 0..100_u64 {
        let id: Uuid = api.schedule(&phones(0..1)).await;
        let cut = async {
            tokio::time::sleep(Duration::from_micros(n * 20)).await;
            sqlx::query(CUT)
                .bind(id)
                .execute(&pool)
                .await
                .unwrap()
                .rows_affected()
        };
        let body = json!({"run_at": in_seconds(7_200)});
        let (answer, cut) = tokio::join!(api.patch(id, &body), cut);
        let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
        if answer.status == StatusCode::OK {
            assert_eq!(
                (cut, &shown["status"], &shown["version"]),
                (0, &json!("scheduled"), &json!(2))
            );
            changed += 1;
        } else {
            assert_eq!(
                (cut, answer.problem(), &shown["version"]),
                (1, "schedule-begun", &json!(1))
            );
            cuts += 1;
        }
    }
    assert_eq!(changed + cuts, 100);
}
