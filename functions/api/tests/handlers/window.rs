//! The hours in which a schedule may send: stored, validated, forecast, and respected when a
//! running schedule is changed.

use crate::common::{Api, phones, request, rows};
use axum::http::StatusCode;
use chrono::{DateTime, Timelike, Utc};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// A valid request with this window.
fn with(window: &Value) -> Value {
    let mut body = request();
    (body["window"], body["recipients"]) = (window.clone(), json!(phones(0..4)));
    body
}

fn morning() -> Value {
    json!({"from": "09:00", "to": "11:00", "zone": "Asia/Kuala_Lumpur"})
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_window_is_stored_shown_and_removed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let created =
        api.post(&with(&json!({"days": ["Fri", "Mon"], "from": "09:30", "to": "24:00", "zone": "Europe/Berlin"}))).await;
    let shown =
        json!({"days": ["Mon", "Fri"], "from": "09:30", "to": "24:00", "zone": "Europe/Berlin"});
    assert_eq!(
        (created.status, &created.body["window"]),
        (StatusCode::CREATED, &shown),
        "{}",
        created.body
    );
    let mut every_day = morning();
    every_day["days"] = json!(null);
    let changed = api.patch(created.id(), &json!({"window": every_day})).await;
    assert_eq!(
        changed.body["window"]["days"],
        json!(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    );
    let logged = api.get("/v1/audit?limit=1").await.body["entries"][0].clone();
    assert_eq!(
        (
            &logged["before"]["window"],
            &logged["after"]["window"]["from"]
        ),
        (&shown, &json!("09:00")),
        "{logged}"
    );
    let every_day = json!({"days": null, "from": "09:00", "to": "11:00", "zone": "UTC"});
    let every_day = api
        .patch(created.id(), &json!({"window": every_day, "rate": 5.0}))
        .await;
    assert_eq!(
        (&every_day.body["window"]["days"], &every_day.body["rate"]),
        (&changed.body["window"]["days"], &json!(5))
    );
    let none = api.patch(created.id(), &json!({"window": null})).await;
    assert_eq!(
        (none.status, &none.body["window"]),
        (StatusCode::OK, &Value::Null)
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_window_field_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    #[rustfmt::skip]
    let table = [
        (json!("09:00-11:00"), vec![("window", "wrong-type")]),
        (json!({}), vec![("window.from", "missing"), ("window.to", "missing"), ("window.zone", "missing")]),
        (json!({"from": "9:00", "to": 11, "zone": "KL"}),
            vec![("window.from", "not-a-time"), ("window.to", "wrong-type"), ("window.zone", "not-a-zone")]),
        (json!({"from": "22:00", "to": "06:00", "zone": "UTC"}), vec![("window.to", "not-later")]),
        (json!({"days": [], "from": "09:00", "to": "11:00", "zone": "UTC"}), vec![("window.days", "not-days")]),
        (json!({"days": ["Mon", "Moon"], "from": "09:00", "to": "11:00", "zone": "UTC"}), vec![("window.days", "not-days")]),
        (json!({"days": ["Monday"], "from": "09:00", "to": "11:00", "zone": "UTC"}), vec![("window.days", "not-days")]),
        (json!({"days": "Mon", "from": "09:00", "to": "11:00", "zone": "UTC"}), vec![("window.days", "wrong-type")]),
        (json!({"from": "09:00", "to": "11:00", "zone": "UTC", "until": 5}), vec![("window.until", "unknown-field")]),
    ];
    for (window, expected) in table {
        for path in ["/v1/schedules", "/v1/schedules?dry_run=true"] {
            let answer = api.post_json(path, &with(&window)).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{window}");
            let errors = answer.body["errors"].as_array().unwrap();
            let mut found: Vec<_> = errors
                .iter()
                .map(|error| {
                    (
                        error["field"].as_str().unwrap(),
                        error["code"].as_str().unwrap(),
                    )
                })
                .collect();
            let mut expected = expected.clone();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{window}");
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_counts_only_hours_within_the_window(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    // 8,000 messages at one per second in windows of two hours: 7,200 on one day, the rest on the
    // next.
    let mut body = with(&json!({"from": "09:00", "to": "11:00", "zone": "UTC"}));
    (body["recipients"], body["rate"]) = (json!(phones(0..8_000)), json!(1));
    let tomorrow = (Utc::now() + chrono::Days::new(2)).date_naive();
    body["run_at"] = json!(format!("{tomorrow}T12:00:00Z"));
    let report = api
        .post_json("/v1/schedules?dry_run=true", &body)
        .await
        .body;
    let day = |ahead| tomorrow + chrono::Days::new(ahead);
    assert_eq!(
        report["planned_start"],
        format!("{}T09:00:00Z", day(1)),
        "{report}"
    );
    assert_eq!(
        report["planned_end"],
        format!("{}T09:13:20Z", day(2)),
        "{report}"
    );
    assert_eq!(report["duration_s"], 8_000.0);
}

/// The window is one minute long and twelve hours away, so it is closed whenever this test runs.
#[sqlx::test(migrator = "MIGRATOR")]
async fn running_batches_are_planned_only_within_the_window(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 3).await;
    for no in 1..=3 {
        rows::batch(&pool, id, no, "send_at = planned_at, sweep_at = planned_at").await;
    }
    let hour = (Utc::now().hour() + 12) % 23;
    let window = format!(
        r#"{{"days":["Mon","Tue","Wed","Thu","Fri","Sat","Sun"],"from":"{hour:02}:00","to":"{hour:02}:01","zone":"UTC"}}"#
    );
    rows::schedule(&pool, id, &format!("send_window = '{window}'")).await;
    // Five recipients per batch and one message per second: all batches fit into the minute.
    let plan = || async {
        let sql = "SELECT send_at FROM batches WHERE schedule_id = ? AND send_at = planned_at ORDER BY batch_no";
        sqlx::query_scalar::<_, DateTime<Utc>>(sql)
            .bind(id)
            .fetch_all(&pool)
            .await
            .unwrap()
    };
    assert_eq!(
        api.patch(id, &json!({"rate": 1})).await.status,
        StatusCode::OK
    );
    let clocks: Vec<_> = plan()
        .await
        .iter()
        .map(|at| (at.hour(), at.minute(), at.second()))
        .collect();
    assert_eq!(clocks, [(hour, 0, 0), (hour, 0, 5), (hour, 0, 10)]);
    assert_eq!(api.post_step(id, "pause").await.status, StatusCode::OK);
    assert_eq!(api.post_step(id, "resume").await.status, StatusCode::OK);
    let clocks: Vec<_> = plan()
        .await
        .iter()
        .map(|at| (at.hour(), at.minute(), at.second()))
        .collect();
    assert_eq!(clocks, [(hour, 0, 0), (hour, 0, 5), (hour, 0, 10)]);
}
