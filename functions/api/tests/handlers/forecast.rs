//! When a schedule is sent, by the carrier's limit and the other schedules in line.

use crate::common::{Answer, Api, in_seconds, phones, request, rows};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::DateTime;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// Sets the carrier's limit in parts per second.
async fn limit(api: &Api, per_second: Value) -> Answer {
    let body = json!({"parts_per_second": per_second}).to_string();
    let request = Request::patch("/v1/carriers/main")
        .header("content-type", "application/json")
        .body(Body::from(body));
    let answer = api.call(request.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer
}

/// Returns the seconds from the planned time to the planned end.
fn duration(run_at: &Value, end: &Value) -> i64 {
    let time = |value: &Value| {
        DateTime::parse_from_rfc3339(value.as_str().unwrap_or_else(|| panic!("{value}"))).unwrap()
    };
    (time(end) - time(run_at)).num_milliseconds()
}

async fn dry_run(api: &Api, more: &Value) -> Value {
    let mut body = request();
    body["recipients"] = json!(phones(0..1_000));
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = api.post_json("/v1/schedules?dry_run=true", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_considers_the_limit_and_the_schedules_in_line(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let free = dry_run(&api, &json!({})).await;
    assert_eq!(
        (&free["capacity_used"], &free["limited_by"]),
        (&Value::Null, &json!("requests"))
    );
    limit(&api, json!(100)).await;
    let alone = dry_run(&api, &json!({})).await;
    assert_eq!(duration(&alone["run_at"], &alone["planned_end"]), 10_000);
    for (name, expected) in [
        ("limited_by", json!("carrier")),
        ("capacity_used", json!(1.0)),
        ("parts_per_second", json!(100.0)),
        ("duration_s", json!(10.0)),
        ("not_sent_in_time", json!(0)),
    ] {
        assert_eq!(alone[name], expected, "{name}: {alone}");
    }
    let run_at = in_seconds(3_600);
    let mut other = request();
    (other["run_at"], other["recipients"]) = (json!(run_at), json!(phones(0..2_000)));
    assert_eq!(api.post(&other).await.status, StatusCode::CREATED);
    for (priority, expected, limited_by) in [
        ("normal", 20_000, "others"),
        ("high", 10_000, "carrier"),
        ("bulk", 30_000, "others"),
    ] {
        let beside = dry_run(&api, &json!({"run_at": run_at, "priority": priority})).await;
        assert_eq!(
            duration(&beside["run_at"], &beside["planned_end"]),
            expected,
            "{priority}: {beside}"
        );
        assert_eq!(beside["limited_by"], limited_by, "{priority}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_tells_how_many_messages_the_end_leaves_unsent(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    limit(&api, json!(10)).await;
    let ending = dry_run(&api, &json!({"send_within_s": 60})).await;
    assert_eq!(ending["not_sent_in_time"], 400, "{ending}");
    assert_eq!(duration(&ending["run_at"], &ending["planned_end"]), 60_000);
    assert_eq!(ending["accepted"], true);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn schedules_that_are_scheduled_or_running_have_a_forecast(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    limit(&api, json!(1)).await;
    let scheduled = api.schedule(&phones(0..10)).await;
    let running = rows::cut(&api, &pool, 2).await;
    rows::schedule(
        &pool,
        running,
        "run_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE",
    )
    .await;
    for no in 1..=2 {
        rows::batch(
            &pool,
            running,
            no,
            "send_at = planned_at, sweep_at = planned_at, waiting = 1",
        )
        .await;
    }
    let (draft, paused) = (api.schedule(&[]).await, api.schedule(&phones(20..22)).await);
    api.post_step(paused, "pause").await;
    let list = api.get("/v1/schedules?sort=run_at").await.body;
    for (id, duration_s) in [
        (scheduled, Some(10.0)),
        (running, Some(10.0)),
        (draft, None),
        (paused, None),
    ] {
        let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
        let listed = list["schedules"].as_array().unwrap();
        let listed = listed
            .iter()
            .find(|one| one["id"] == json!(id.to_string()))
            .unwrap();
        for view in [&shown, listed] {
            let found = view
                .get("forecast")
                .map(|found| found["duration_s"].as_f64());
            assert_eq!(found, duration_s.map(Some), "{view}");
        }
    }
    // What is planned for an hour ahead does not change from one answer to the next.
    let path = format!("/v1/schedules/{scheduled}");
    let (one, other) = (api.get(&path).await, api.get(&path).await);
    assert_eq!(one.body["forecast"], other.body["forecast"]);
    assert_eq!(one.body["forecast"]["planned_start"], one.body["run_at"]);
    limit(&api, Value::Null).await;
    let free = api.get(&path).await.body["forecast"].clone();
    assert_eq!(free["capacity_used"], Value::Null);
}
