//! The priority of a schedule: chosen, derived from the size of the list, and permitted.

use crate::common::{Api, insert_key, phones, request, rows};
use api::routes::router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;
use uuid::Uuid;

/// Returns an API in which lists of more than this many recipients are bulk.
fn bulk_above(api: &Api, most: Option<u32>) -> Api {
    let mut app = api.app.clone();
    app.capacity.bulk_above = most;
    Api {
        router: router(app.clone()),
        app,
        ..api.clone()
    }
}

/// Creates a schedule with these fields and `recipients` numbers, and returns the answer's body.
async fn create(api: &Api, more: &Value, recipients: u32) -> Value {
    let mut body = request();
    body["recipients"] = json!(phones(0..recipients));
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = api.post(&body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    answer.body
}

async fn shown(api: &Api, id: Uuid) -> Value {
    api.get(&format!("/v1/schedules/{id}")).await.body["priority"].clone()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_list_above_the_size_is_bulk_unless_a_priority_is_chosen(pool: MySqlPool) {
    let api = bulk_above(&Api::new(&pool).await, Some(3));
    for (more, recipients, expected) in [
        (json!({}), 3, "normal"),
        (json!({}), 4, "bulk"),
        (json!({"priority": null}), 4, "bulk"),
        (json!({"priority": "normal"}), 4, "normal"),
        (json!({"priority": "bulk"}), 1, "bulk"),
        (json!({"priority": "high"}), 4, "high"),
    ] {
        let created = create(&api, &more, recipients).await;
        assert_eq!(created["priority"], expected, "{more} {recipients}");
    }
    let never = bulk_above(&api, None);
    assert_eq!(create(&never, &json!({}), 4).await["priority"], "normal");
    let mut body = request();
    body["recipients"] = json!(phones(0..4));
    let report = api.post_json("/v1/schedules?dry_run=true", &body).await;
    assert_eq!(report.body["priority"], "bulk", "{}", report.body);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_priority_follows_a_list_that_grows(pool: MySqlPool) {
    let api = bulk_above(&Api::new(&pool).await, Some(3));
    let mut chosen = request();
    (chosen["draft"], chosen["priority"]) = (json!(true), json!("normal"));
    let chosen = api.post(&chosen).await.id();
    let open = api.schedule(&[]).await;
    for id in [chosen, open] {
        let list = phones(0..3).join("\n");
        assert_eq!(
            api.append(id, "", "text/csv", list).await.status,
            StatusCode::OK
        );
    }
    assert_eq!(shown(&api, open).await, "normal");
    for id in [chosen, open] {
        let list = phones(0..4).join("\n");
        assert_eq!(
            api.append(id, "", "text/csv", list).await.status,
            StatusCode::OK
        );
    }
    let activated = api.post_step(open, "activate").await;
    assert_eq!(activated.body["priority"], "bulk", "{}", activated.body);
    assert_eq!(shown(&api, chosen).await, "normal");
    // null lets the size decide again.
    let changed = api.patch(chosen, &json!({"priority": null})).await;
    assert_eq!(changed.body["priority"], "bulk", "{}", changed.body);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn high_needs_its_permission(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..1)).await;
    let permissions = [Permission::SchedulesRead, Permission::SchedulesWrite];
    let limited = api.with(&insert_key(&pool, &permissions, None).await);
    let mut body = request();
    (body["recipients"], body["priority"]) = (json!(phones(0..1)), json!("high"));
    for answer in [
        limited.post(&body).await,
        limited.post_json("/v1/schedules?dry_run=true", &body).await,
        limited.patch(id, &json!({"priority": "high"})).await,
    ] {
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::FORBIDDEN, "forbidden")
        );
        assert_eq!(answer.body["permission"], "schedules:high");
        assert_eq!(
            answer.body["detail"],
            "expected a caller with the permission schedules:high"
        );
    }
    for priority in ["bulk", "normal"] {
        let changed = limited.patch(id, &json!({"priority": priority})).await;
        assert_eq!(
            (changed.status, &changed.body["priority"]),
            (StatusCode::OK, &json!(priority))
        );
    }
    let admin = api.admin().await;
    for role in ["viewer", "operator"] {
        let user = admin.user(role, role).await;
        let granted = user.get("/v1/auth/me").await.body["permissions"]
            .as_array()
            .unwrap()
            .contains(&json!("schedules:high"));
        assert_eq!(granted, role == "operator", "{role}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_priority_of_a_running_and_a_paused_schedule_can_be_changed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 2).await;
    let sweeps = || api.fakes.sweeps.load(std::sync::atomic::Ordering::Relaxed);
    let before = sweeps();
    let planned = "SELECT CAST(SUM(send_at IS NOT NULL) AS SIGNED) FROM batches";
    for (step, priority) in [(None, "high"), (Some("pause"), "bulk")] {
        if let Some(step) = step {
            api.post_step(id, step).await;
        }
        let changed = api.patch(id, &json!({"priority": priority})).await;
        assert_eq!(
            (changed.status, &changed.body["priority"]),
            (StatusCode::OK, &json!(priority)),
            "{}",
            changed.body
        );
    }
    assert!(sweeps() > before);
    // A change of the priority spreads no batches.
    assert_eq!(crate::common::count(&pool, planned).await, 0);
    let logged = api
        .get("/v1/audit?action=schedule.change&limit=1")
        .await
        .body["entries"][0]
        .clone();
    assert_eq!(
        (&logged["before"], &logged["after"]),
        (&json!({"priority": "high"}), &json!({"priority": "bulk"}))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn lists_are_filtered_by_priority(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for priority in ["high", "bulk", "bulk", "normal"] {
        create(&api, &json!({"priority": priority}), 1).await;
    }
    for (priority, expected) in [("high", 1), ("normal", 1), ("bulk", 2)] {
        for more in [
            "",
            "&status=scheduled",
            "&sort=run_at",
            "&sort=-run_at&status=scheduled",
        ] {
            let path = format!("/v1/schedules?priority={priority}{more}");
            let found = api.get(&path).await.body["schedules"].clone();
            let found = found.as_array().unwrap();
            assert_eq!(found.len(), expected, "{path}");
            assert!(found.iter().all(|one| one["priority"] == priority));
        }
    }
    let odd = api.get("/v1/schedules?priority=low").await;
    assert_eq!(odd.body["errors"][0]["code"], "not-a-choice");
}
