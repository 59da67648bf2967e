//! Four eyes: what needs an approval is sent only after another person has approved exactly that.

use std::sync::atomic::Ordering;

use api::{App, resources::schedules::approval::rule::ApprovalRule, routes::router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Api, count, phones, states::execute};

/// Returns the API with a rule.
pub fn with_rule(api: &Api, above: u32, callers: &str) -> Api {
    let app = App {
        approval: ApprovalRule::parse(above, callers).unwrap(),
        ..api.app.clone()
    };
    Api {
        router: router(app.clone()),
        app,
        ..api.clone()
    }
}

/// The people of these tests: two operators, and an administrator.
pub struct People {
    pub ana: Api,
    pub ben: Api,
    pub root: Api,
}

/// Returns the people, with a rule that applies above three recipients.
pub async fn people(pool: &MySqlPool) -> People {
    let api = with_rule(&Api::new(pool).await, 3, "");
    let root = api.admin().await;
    People {
        ana: root.user("ana", "operator").await,
        ben: root.user("ben", "operator").await,
        root,
    }
}

pub async fn status(api: &Api, id: Uuid) -> String {
    api.get(&format!("/v1/schedules/{id}")).await.text("status")
}

pub async fn approval(api: &Api, id: Uuid) -> Value {
    let answer = api.get(&format!("/v1/schedules/{id}/approval")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

pub async fn hash(api: &Api, id: Uuid) -> String {
    approval(api, id).await["hash"].as_str().unwrap().to_owned()
}

pub async fn approve_with(api: &Api, id: Uuid, body: Value) -> (StatusCode, String) {
    let answer = api
        .post_json(&format!("/v1/schedules/{id}/approve"), &body)
        .await;
    let told = if answer.status.is_success() {
        answer.text("status")
    } else {
        answer.problem().to_owned()
    };
    (answer.status, told)
}

/// Approves what the schedule is now. Returns its state, or the problem.
pub async fn approve(api: &Api, id: Uuid) -> String {
    let hash = hash(api, id).await;
    approve_with(api, id, json!({"hash": hash})).await.1
}

pub async fn patch_recipient(api: &Api, id: Uuid, seq: u32, body: Value) -> StatusCode {
    let request = Request::patch(format!("/v1/schedules/{id}/recipients/{seq}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()));
    api.call(request.unwrap()).await.status
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_long_list_waits_until_another_person_approves_it(pool: MySqlPool) {
    let People { ana, ben, root } = people(&pool).await;
    let short = ana.schedule(&phones(0..3)).await;
    assert_eq!(status(&ana, short).await, "scheduled");
    let none = ana.get(&format!("/v1/schedules/{short}/approval")).await;
    assert_eq!(none.problem(), "not-found");

    ana.fakes.created.lock().unwrap().clear();
    let id = ana.schedule(&phones(0..4)).await;
    assert_eq!(status(&ana, id).await, "awaiting-approval");
    assert!(
        ana.fakes.created.lock().unwrap().is_empty(),
        "nothing is dispatched"
    );
    let shown = approval(&ana, id).await;
    assert_eq!(
        (
            &shown["reason"],
            &shown["may_approve"],
            &shown["approved_by"]
        ),
        (&json!("recipients"), &json!(false), &Value::Null)
    );
    assert_eq!(shown["samples"][3]["text"], "Hello");
    assert_eq!(shown["authors"], json!([shown["asked_by"]]));
    assert_eq!(approval(&ben, id).await["may_approve"], true);
    let entry = ana.get("/v1/attention/awaiting-approval").await.body["entries"][0].clone();
    assert_eq!(
        (&entry["schedule_id"], &entry["people"]),
        (&json!(id), &json!(4))
    );
    let kinds = &shown["schedule"]["attention"]["kinds"];
    assert_eq!(*kinds, json!(["awaiting-approval"]));

    assert_eq!(approve(&ana, id).await, "own-approval");
    let wrong = json!({"hash": "0".repeat(64)});
    assert_eq!(
        approve_with(&ben, id, wrong).await.1,
        "approval-hash-differs"
    );
    assert_eq!(status(&ana, id).await, "awaiting-approval");
    assert_eq!(approve(&ben, id).await, "scheduled");
    assert_eq!(ana.fakes.created.lock().unwrap().len(), 1);
    let shown = approval(&ana, id).await;
    assert!(shown["approved_by"].as_str().unwrap().starts_with("user:"));
    let again = json!({"hash": shown["hash"]});
    assert_eq!(approve_with(&ben, id, again).await.1, "wrong-state");

    let entries = root.audit(&format!("&resource=schedule:{id}")).await;
    let actions: Vec<_> = entries.iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["schedule.approve", "schedule.create"]);
    assert_eq!(entries[0]["after"]["hash"], shown["hash"]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_a_person_who_has_changed_nothing_approves(pool: MySqlPool) {
    let People { ana, ben, root } = people(&pool).await;
    let person = ben.me().await.body;
    let person = person["id"].as_str().unwrap();
    let of_ben = json!({"name": "ben", "permissions": ["schedules:read", "schedules:write"], "user_id": person});
    let key = root.post_json("/v1/api-keys", &of_ben).await;
    let id = ana.schedule(&phones(0..4)).await;
    // A key of a person counts as the person.
    let with_key = ben.with(&key.text("key"));
    let text = json!({"message": "By the key of Ben"});
    assert_eq!(with_key.patch(id, &text).await.status, StatusCode::OK);
    assert_eq!(approve(&ben, id).await, "own-approval");
    let id = ana.schedule(&phones(0..4)).await;
    ben.patch(id, &json!({"message": "By Ben"})).await;
    assert_eq!(approve(&ben, id).await, "own-approval");
    let reject = json!({"reason": "no"});
    let answer = ben
        .post_json(&format!("/v1/schedules/{id}/reject"), &reject)
        .await;
    assert_eq!(answer.problem(), "own-approval");
    let viewer = root.user("vera", "viewer").await;
    let body = json!({"hash": hash(&viewer, id).await});
    assert_eq!(approve_with(&viewer, id, body.clone()).await.1, "forbidden");
    let program = root.with(
        &crate::common::insert_key(&pool, &[shared::access::Permission::SchedulesApprove], None)
            .await,
    );
    assert_eq!(approve_with(&program, id, body).await.1, "own-approval");
    assert_eq!(approve(&root, id).await, "scheduled");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_rejected_schedule_is_a_draft_with_the_reason(pool: MySqlPool) {
    let People { ana, ben, .. } = people(&pool).await;
    let id = ana.schedule(&phones(0..4)).await;
    let path = format!("/v1/schedules/{id}/reject");
    assert_eq!(
        ben.post_json(&path, &json!({})).await.problem(),
        "invalid-request"
    );
    let answer = ben
        .post_json(&path, &json!({"reason": "the price is wrong"}))
        .await;
    assert_eq!(
        (answer.text("status"), answer.text("reason")),
        ("draft".to_owned(), "the price is wrong".to_owned())
    );
    assert_eq!(
        ben.post_json(&path, &json!({"reason": "x"}))
            .await
            .problem(),
        "wrong-state"
    );
    ana.patch(id, &json!({"message": "Right price"})).await;
    let activated = ana.post_step(id, "activate").await;
    assert_eq!(activated.text("status"), "awaiting-approval");
    assert_eq!(activated.body["reason"], Value::Null);
    assert_eq!(approve(&ben, id).await, "scheduled");
    let other = ana.schedule(&phones(0..4)).await;
    assert_eq!(
        ana.post_step(other, "cancel").await.text("status"),
        "cancelled"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_late_approval_names_the_time(pool: MySqlPool) {
    let People { ana, ben, .. } = people(&pool).await;
    let id = ana.schedule(&phones(0..4)).await;
    execute(
        &pool,
        id,
        "UPDATE schedules SET run_at = UTC_TIMESTAMP(3) - INTERVAL 1 DAY WHERE id = ?",
    )
    .await;
    let hash = hash(&ben, id).await;
    let late = approve_with(&ben, id, json!({"hash": hash})).await;
    assert_eq!(late, (StatusCode::CONFLICT, "run-at-past".to_owned()));
    let now = approve_with(&ben, id, json!({"hash": hash, "now": true})).await;
    assert_eq!(now, (StatusCode::OK, "scheduled".to_owned()));
    let is_now =
        "SELECT COUNT(*) FROM schedules WHERE run_at > UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE";
    assert_eq!(count(&pool, is_now).await, 1);
    // The time is a part of what was approved.
    ana.post_step(id, "pause").await;
    assert_eq!(
        ana.post_json(&format!("/v1/schedules/{id}/resume"), &json!({"now": true}))
            .await
            .text("status"),
        "awaiting-approval"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn callers_are_named_by_role_and_key(pool: MySqlPool) {
    let api = with_rule(&Api::new(&pool).await, 0, "operator,key");
    let root = api.admin().await;
    let ana = root.user("ana", "operator").await;
    let of_root = root.schedule(&phones(0..1)).await;
    assert_eq!(status(&root, of_root).await, "scheduled");
    assert_eq!(
        status(&root, ana.schedule(&phones(0..1)).await).await,
        "awaiting-approval"
    );
    assert_eq!(
        status(&root, api.schedule(&phones(0..1)).await).await,
        "awaiting-approval"
    );
    // A change by such a caller is one that has to be approved.
    ana.patch(of_root, &json!({"message": "By an operator"}))
        .await;
    assert_eq!(status(&root, of_root).await, "awaiting-approval");
    assert_eq!(approval(&root, of_root).await["reason"], "caller");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_approval_and_a_change_at_the_same_time_are_one_after_the_other(pool: MySqlPool) {
    let People { ana, ben, .. } = people(&pool).await;
    // Each API has one connection, so two of them are needed for two transactions at once.
    let other = with_rule(&Api::new(&pool).await, 3, "").with(&ana.token);
    for round in 0..10 {
        let id = ana.schedule(&phones(0..4)).await;
        let hash = hash(&ben, id).await;
        let change = json!({"message": format!("Changed {round}")});
        let (approved, changed) = tokio::join!(
            approve_with(&ben, id, json!({"hash": hash})),
            other.patch(id, &change)
        );
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
        // Before the change it is voided by it; after it the hash differs.
        assert!(
            approved.0 == StatusCode::OK || approved.1 == "approval-hash-differs",
            "{approved:?}"
        );
        assert_eq!(status(&ana, id).await, "awaiting-approval", "round {round}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn webhooks_are_told_of_each_step(pool: MySqlPool) {
    let People { ana, ben, root } = people(&pool).await;
    let hook = json!({"url": "https://example.com/x", "events": ["schedule.awaiting-approval", "schedule.approved", "schedule.rejected"]});
    assert_eq!(
        root.post_json("/v1/webhooks", &hook).await.status,
        StatusCode::CREATED
    );
    let id = ana.schedule(&phones(0..4)).await;
    ben.post_json(
        &format!("/v1/schedules/{id}/reject"),
        &json!({"reason": "no"}),
    )
    .await;
    ana.post_step(id, "activate").await;
    approve(&ben, id).await;
    let sql = "SELECT type FROM webhook_deliveries ORDER BY event_id";
    let types: Vec<String> = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
    assert_eq!(
        types,
        [
            "schedule.awaiting-approval",
            "schedule.rejected",
            "schedule.awaiting-approval",
            "schedule.approved"
        ]
    );
    assert_eq!(ana.fakes.sweeps.load(Ordering::Relaxed), 0);
}
