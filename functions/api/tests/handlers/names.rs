//! What schedules are called, how they are found by it, and moves of all with a label.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Answer, Api, in_seconds, phones, request, rows, walk};

/// Creates a schedule that is called so.
async fn create(api: &Api, called: &Value) -> Uuid {
    let mut body = request();
    body["recipients"] = json!(phones(0..3));
    for (name, value) in called.as_object().unwrap() {
        body[name] = value.clone();
    }
    api.post(&body).await.id()
}

async fn found(api: &Api, query: &str) -> Vec<Uuid> {
    let path = format!("/v1/schedules?{query}&limit=2");
    let ids = walk(api, &path, "schedules", "id").await;
    ids.iter()
        .map(|id| id.as_str().unwrap().parse().unwrap())
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn schedules_are_found_by_what_they_are_called(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let penang = json!({"name": "Sale in Penang", "reference": "S-1", "labels": ["sale", "North"]});
    let penang = create(&api, &penang).await;
    let johor =
        json!({"name": "Sale in Johor", "reference": "S-2", "labels": ["sale", "sale", "SALE"]});
    let johor = create(&api, &johor).await;
    let other = create(&api, &json!({"reference": "50%_\\", "labels": ["penang"]})).await;
    let again = create(
        &api,
        &json!({"name": "Sale again", "reference": "S-2", "labels": ["sale"]}),
    )
    .await;
    create(&api, &json!({})).await;
    rows::schedule(&pool, johor, "run_at = run_at + INTERVAL 1 DAY").await;
    for (query, expected) in [
        ("label=sale", vec![again, johor, penang]),
        ("label=SALE&sort=run_at", vec![penang, again, johor]),
        ("label=sale&sort=-run_at", vec![johor, again, penang]),
        ("label=sale&reference=S-2", vec![again, johor]),
        ("label=sale&status=paused", vec![]),
        ("label=sale&search=johor", vec![johor]),
        ("reference=S-2", vec![again, johor]),
        ("reference=S-2&sort=-run_at", vec![johor, again]),
        ("search=penang", vec![other, penang]),
        ("search=%25_%5C", vec![other]),
        ("search=Sale+_n", vec![]),
        ("label=nothing", vec![]),
    ] {
        assert_eq!(found(&api, query).await, expected, "{query}");
    }
    let shown = api.get(&format!("/v1/schedules/{penang}")).await.body;
    assert_eq!(shown["name"], "Sale in Penang");
    assert_eq!(shown["reference"], "S-1");
    assert_eq!(shown["labels"], json!(["sale", "North"]));
    let wrong = api.get("/v1/schedules?label=&search=%00").await;
    assert_eq!(wrong.problem(), "invalid-request");
    assert_eq!(wrong.body["errors"].as_array().unwrap().len(), 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn names_can_be_changed_in_every_state(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = create(&api, &json!({"name": "A", "labels": ["a", "b"]})).await;
    api.post_step(id, "cancel").await;
    let sweeps = api.get(&format!("/v1/schedules/{id}")).await.body["version"].clone();
    let edit = json!({"name": null, "reference": "R", "labels": ["b", "c"]});
    let changed = api.patch(id, &edit).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!(
        (
            &changed.body["name"],
            &changed.body["reference"],
            &changed.body["labels"],
            &changed.body["version"]
        ),
        (&Value::Null, &json!("R"), &json!(["b", "c"]), &sweeps)
    );
    assert_eq!(found(&api, "label=c").await, [id]);
    assert!(found(&api, "label=a").await.is_empty());
    let audit = api
        .get(&format!(
            "/v1/audit?resource=schedule:{id}&action=schedule.change"
        ))
        .await;
    let entry = &audit.body["entries"][0];
    assert_eq!(
        entry["before"],
        json!({"name": "A", "reference": null, "labels": ["a", "b"]})
    );
    assert_eq!(
        entry["after"],
        json!({"name": null, "reference": "R", "labels": ["b", "c"]})
    );
    // Together with a change that needs a schedule that has not begun, nothing is changed.
    let refused = api
        .patch(id, &json!({"name": "B", "run_at": in_seconds(7_200)}))
        .await;
    assert_eq!(refused.problem(), "schedule-begun");
    assert_eq!(
        api.get(&format!("/v1/schedules/{id}")).await.body["name"],
        Value::Null
    );
    let none = api.patch(id, &json!({"labels": []})).await;
    assert_eq!(none.body["labels"], json!([]));
    assert!(found(&api, "label=b").await.is_empty());
}

async fn step(api: &Api, path: &str, body: &Value) -> Answer {
    api.post_json(&format!("/v1/schedules/{path}"), body).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn all_schedules_with_a_label_are_paused_and_resumed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let labelled = json!({"labels": ["sale"]});
    let waiting = create(&api, &labelled).await;
    let running = create(&api, &labelled).await;
    let running_rows = "status = 'running', batch_count = 0, dispatched_by = 'sweep', dispatched_at = UTC_TIMESTAMP(3)";
    rows::schedule(&pool, running, running_rows).await;
    let cancelled = create(&api, &labelled).await;
    api.post_step(cancelled, "cancel").await;
    let other = api.schedule(&phones(0..2)).await;
    let reason = json!({"reason": "wrong price"});
    let paused = step(&api, "pause?label=sale", &reason).await;
    assert_eq!(
        paused.body,
        json!({"changed": 2, "schedules": [running, waiting], "left": [], "more": false})
    );
    let again = step(&api, "pause?label=sale", &json!({})).await;
    assert_eq!(again.body["changed"], 0);
    for (id, status, reason) in [
        (waiting, "paused", json!("wrong price")),
        (running, "paused", json!("wrong price")),
        (cancelled, "cancelled", Value::Null),
        (other, "scheduled", Value::Null),
    ] {
        let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
        assert_eq!(
            (&shown["status"], &shown["reason"]),
            (&json!(status), &reason)
        );
    }
    // One whose time has passed needs a decision.
    rows::schedule(
        &pool,
        waiting,
        "run_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE",
    )
    .await;
    let resumed = step(&api, "resume?label=sale", &Value::Null).await;
    assert_eq!(resumed.body["schedules"], json!([running]));
    assert_eq!(resumed.body["left"][0]["schedule_id"], json!(waiting));
    let resumed = step(&api, "resume?label=sale", &json!({"now": true})).await;
    assert_eq!(resumed.body["schedules"], json!([waiting]));
    assert_eq!(
        step(&api, "pause", &json!({})).await.problem(),
        "invalid-request"
    );
    assert_eq!(
        step(&api, "pause?reference=x", &json!({})).await.problem(),
        "invalid-request"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_pause_and_a_cancel_are_idempotent_and_keep_their_reason(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..2)).await;
    let path = format!("/v1/schedules/{id}");
    for (move_to, status) in [("pause", "paused"), ("cancel", "cancelled")] {
        let reason = json!({"reason": format!("{move_to}: wrong text")});
        let first = api.post_json(&format!("{path}/{move_to}"), &reason).await;
        assert_eq!(first.status, StatusCode::OK, "{}", first.body);
        let later = json!({"reason": "another"});
        let second = api.post_json(&format!("{path}/{move_to}"), &later).await;
        assert_eq!((second.status, &second.body), (StatusCode::OK, &first.body));
        assert_eq!(
            (&first.body["status"], &first.body["reason"]),
            (&json!(status), &reason["reason"])
        );
        let audit = format!("/v1/audit?resource=schedule:{id}&action=schedule.{move_to}");
        let entries = api.get(&audit).await.body["entries"].clone();
        assert_eq!(entries.as_array().unwrap().len(), 1);
        assert_eq!(entries[0]["after"]["reason"], reason["reason"]);
    }
    for reason in ["", "  ", "a\u{7}b", &"x".repeat(201)] {
        let refused = api
            .post_json(&format!("{path}/pause"), &json!({"reason": reason}))
            .await;
        assert_eq!(
            refused.body["errors"][0]["code"], "not-a-reason",
            "{reason:?}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_resume_removes_the_reason_of_the_pause(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..2)).await;
    let path = format!("/v1/schedules/{id}/pause");
    api.post_json(&path, &json!({"reason": "wait"})).await;
    let resumed = api.post_step(id, "resume").await;
    assert_eq!(resumed.body["reason"], Value::Null);
}
