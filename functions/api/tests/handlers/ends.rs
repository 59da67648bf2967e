//! The end of a schedule, after which nothing is sent: given, shown, refused and changed.

use crate::common::{Answer, Api, phones, request, rows};
use axum::http::StatusCode;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// A time, as requests have it.
fn in_hours(hours: i64) -> String {
    (Utc::now() + TimeDelta::hours(hours))
        .format("%FT%TZ")
        .to_string()
}

fn time(value: &Value) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(value.as_str().unwrap_or_else(|| panic!("{value}"))).unwrap()
}

/// A valid request with these fields.
fn with(more: &Value) -> Value {
    let mut body = request();
    body["recipients"] = json!(phones(0..2));
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

fn error(answer: &Answer) -> (&str, &str) {
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        answer.body
    );
    let error = &answer.body["errors"][0];
    (
        error["field"].as_str().unwrap(),
        error["code"].as_str().unwrap(),
    )
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_end_is_stored_shown_replaced_and_removed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let run_at = in_hours(2).replace('Z', "+00:00");
    let created = api
        .post(&with(&json!({"run_at": run_at, "send_within_s": 3_600})))
        .await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    assert_eq!(
        time(&created.body["send_until"]) - time(&created.body["run_at"]),
        TimeDelta::hours(1)
    );
    assert_eq!(created.body["send_within_s"], 3_600);
    let id = created.id();
    // The end moves with the planned time.
    let moved = api.patch(id, &json!({"run_at": in_hours(3)})).await.body;
    assert_eq!(
        time(&moved["send_until"]) - time(&moved["run_at"]),
        TimeDelta::hours(1)
    );
    let until = in_hours(5);
    let replaced = api.patch(id, &json!({"send_until": until})).await.body;
    assert_eq!(time(&replaced["send_until"]), time(&json!(until)));
    assert_eq!(replaced["send_within_s"], Value::Null);
    let logged = api.get("/v1/audit?limit=1").await.body["entries"][0].clone();
    assert_eq!(time(&logged["after"]["send_until"]), time(&json!(until)));
    for field in ["send_until", "send_within_s"] {
        api.patch(id, &json!({"send_within_s": 600})).await;
        let removed = api.patch(id, &json!({field: null})).await;
        assert_eq!(
            (&removed.body["send_until"], &removed.body["send_within_s"]),
            (&Value::Null, &Value::Null),
            "{}",
            removed.body
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_end_before_which_nothing_could_be_sent_is_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let tomorrow = (Utc::now() + chrono::Days::new(2)).date_naive();
    let run_at = format!("{tomorrow}T12:00:00Z");
    let window = json!({"from": "09:00", "to": "11:00", "zone": "UTC"});
    let until = |time: &str| format!("{tomorrow}T{time}Z");
    let next_day = format!("{}T09:00:00Z", tomorrow + chrono::Days::new(1));
    #[rustfmt::skip]
    let table = [
        (json!({"send_until": until("12:00:00")}), "send_until", "not-after-run-at"),
        (json!({"send_until": "2037-01-01T00:00:00Z"}), "send_until", "too-far-ahead"),
        (json!({"send_until": until("13:00:00"), "send_within_s": 60}), "send_within_s", "not-both"),
        (json!({"send_until": next_day, "window": window}), "send_until", "window-closed"),
        (json!({"send_within_s": 21 * 3_600, "window": window}), "send_within_s", "window-closed"),
        (json!({"send_within_s": 31_536_001}), "send_within_s", "out-of-range"),
    ];
    for (mut more, field, code) in table {
        more["run_at"] = json!(run_at);
        for path in ["/v1/schedules", "/v1/schedules?dry_run=true"] {
            let answer = api.post_json(path, &with(&more)).await;
            assert_eq!(error(&answer), (field, code), "{more}");
        }
    }
    // A change is refused if the schedule that it leads to would be.
    let more = json!({"run_at": run_at, "send_until": until("14:00:00")});
    let id = api.post(&with(&more)).await.id();
    #[rustfmt::skip]
    let table = [
        (json!({"run_at": until("14:00:00")}), "run_at", "not-after-run-at"),
        (json!({"window": window}), "window", "window-closed"),
        (json!({"send_until": until("11:00:00")}), "send_until", "not-after-run-at"),
        (json!({"send_until": until("15:00:00"), "send_within_s": 60}), "send_within_s", "not-both"),
    ];
    for (change, field, code) in table {
        assert_eq!(
            error(&api.patch(id, &change).await),
            (field, code),
            "{change}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_end_of_a_running_schedule_can_be_changed_until_it_has_passed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 1).await;
    rows::schedule(&pool, id, "run_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR").await;
    let changed = api.patch(id, &json!({"send_until": in_hours(2)})).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    // An hour after run_at has passed already.
    let passed = api.patch(id, &json!({"send_within_s": 1_800})).await;
    assert_eq!(error(&passed), ("send_within_s", "in-the-past"));
    api.post_step(id, "pause").await;
    let changed = api.patch(id, &json!({"send_within_s": 7_200})).await;
    assert_eq!(
        (changed.status, &changed.body["send_within_s"]),
        (StatusCode::OK, &json!(7_200))
    );
    api.post_step(id, "resume").await;
    rows::schedule(&pool, id, "send_within_s = 1800").await;
    for change in [
        json!({"send_until": in_hours(2)}),
        json!({"send_within_s": null}),
    ] {
        let late = api.patch(id, &change).await;
        assert_eq!(
            (late.status, late.problem()),
            (StatusCode::CONFLICT, "send-until-past")
        );
        assert_eq!(late.body["schedule_status"], "running");
    }
    // Everything else can still be changed.
    let other = api.patch(id, &json!({"priority": "bulk", "rate": 5})).await;
    assert_eq!(other.status, StatusCode::OK, "{}", other.body);
}
