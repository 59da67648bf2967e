//! Four eyes: what needs an approval is sent only after another person has approved exactly that.

use std::{collections::HashSet, sync::atomic::Ordering};

use api::{App, resources::schedules::approval::rule::ApprovalRule, routes::router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Api, count, in_seconds, phones, request, states::execute};

/// Returns the API with a rule.
fn with_rule(api: &Api, above: u32, callers: &str) -> Api {
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
struct People {
    ana: Api,
    ben: Api,
    root: Api,
}

/// Returns the people, with a rule that applies above three recipients.
async fn people(pool: &MySqlPool) -> People {
    let api = with_rule(&Api::new(pool).await, 3, "");
    let root = api.admin().await;
    People {
        ana: root.user("ana", "operator").await,
        ben: root.user("ben", "operator").await,
        root,
    }
}

async fn status(api: &Api, id: Uuid) -> String {
    api.get(&format!("/v1/schedules/{id}")).await.text("status")
}

async fn approval(api: &Api, id: Uuid) -> Value {
    let answer = api.get(&format!("/v1/schedules/{id}/approval")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

async fn hash(api: &Api, id: Uuid) -> String {
    approval(api, id).await["hash"].as_str().unwrap().to_owned()
}

async fn approve_with(api: &Api, id: Uuid, body: Value) -> (StatusCode, String) {
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
async fn approve(api: &Api, id: Uuid) -> String {
    let hash = hash(api, id).await;
    approve_with(api, id, json!({"hash": hash})).await.1
}

async fn patch_recipient(api: &Api, id: Uuid, seq: u32, body: Value) -> StatusCode {
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
async fn each_change_of_what_is_sent_voids_the_approval(pool: MySqlPool) {
    let People { ana, ben, root } = people(&pool).await;
    let id = ana.schedule(&phones(0..4)).await;
    let mut hashes = HashSet::from([hash(&ben, id).await]);
    let changes = [
        json!({"message": "Hello again"}),
        json!({"sender": "Acme"}),
        json!({"run_at": in_seconds(7_200)}),
        json!({"send_within_s": 600}),
        json!({"window": {"days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "from": "00:00", "to": "23:59", "zone": "UTC"}}),
        json!({"max_attempts": 1}),
        json!({"on_uncertain": "resend"}),
    ];
    for change in changes {
        assert_eq!(approve(&ben, id).await, "scheduled", "{change}");
        assert_eq!(
            ana.patch(id, &change).await.status,
            StatusCode::OK,
            "{change}"
        );
        assert_eq!(status(&ana, id).await, "awaiting-approval", "{change}");
        assert!(
            hashes.insert(hash(&ben, id).await),
            "the hash is new: {change}"
        );
    }
    let lists = ["+12012000009", "+12012000008,"];
    for list in lists {
        assert_eq!(approve(&ben, id).await, "scheduled");
        ana.append(id, "", "text/csv", list).await;
        assert_eq!(status(&ana, id).await, "awaiting-approval", "{list}");
        assert!(hashes.insert(hash(&ben, id).await), "{list}");
    }
    for edit in [
        json!({"phone": "+12012000007"}),
        json!({"vars": {"name": "Ana"}}),
        json!({"reference": "r"}),
        json!({"group": "g"}),
    ] {
        assert_eq!(approve(&ben, id).await, "scheduled");
        assert_eq!(
            patch_recipient(&ana, id, 1, edit.clone()).await,
            StatusCode::OK
        );
        assert_eq!(status(&ana, id).await, "awaiting-approval", "{edit}");
        assert!(hashes.insert(hash(&ben, id).await), "{edit}");
    }
    // The order of sending and the names are nobody's message, and who is cancelled gets none.
    assert_eq!(approve(&ben, id).await, "scheduled");
    for change in [
        json!({"rate": 7}),
        json!({"priority": "bulk"}),
        json!({"name": "x", "labels": ["y"]}),
        json!({"sender": "Acme"}),
    ] {
        assert_eq!(ana.patch(id, &change).await.status, StatusCode::OK);
        assert_eq!(status(&ana, id).await, "scheduled", "{change}");
    }
    let cancel = Request::delete(format!("/v1/schedules/{id}/recipients/2")).body(Body::empty());
    assert!(ana.call(cancel.unwrap()).await.status.is_success());
    assert_eq!(status(&ana, id).await, "scheduled");
    // The next approval is of the list without that recipient.
    ana.patch(id, &json!({"message": "Hi"})).await;
    let without = hash(&ben, id).await;
    execute(&pool, id, "UPDATE recipients SET status = 'PENDING', final_at = NULL WHERE schedule_id = ? AND seq = 2").await;
    execute(&pool, id, "UPDATE schedule_approvals SET list_hash = NULL, hashed_seq = 0, is_hashed = 0 WHERE schedule_id = ?").await;
    assert_ne!(hash(&ben, id).await, without);
    let waits = root.audit(&format!("&resource=schedule:{id}")).await;
    assert!(waits.len() > 20);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_hash_that_was_read_before_a_change_approves_nothing(pool: MySqlPool) {
    let People { ana, ben, .. } = people(&pool).await;
    let id = ana.schedule(&phones(0..4)).await;
    let old = hash(&ben, id).await;
    ana.patch(id, &json!({"message": "Other"})).await;
    let answer = approve_with(&ben, id, json!({"hash": old})).await;
    assert_eq!(
        answer,
        (StatusCode::CONFLICT, "approval-hash-differs".to_owned())
    );
    let old = hash(&ben, id).await;
    ana.append(id, "", "text/csv", "+12012000009").await;
    // Not read since: no hash of this list exists, and none of the old one counts.
    assert_eq!(
        approve_with(&ben, id, json!({"hash": old})).await.1,
        "approval-hash-differs"
    );
    for wrong in [json!({}), json!({"hash": "abc"}), json!({"hash": null})] {
        assert_eq!(approve_with(&ben, id, wrong).await.1, "invalid-request");
    }
    assert_eq!(approve(&ben, id).await, "scheduled");
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
async fn no_way_to_begin_goes_past_the_approval(pool: MySqlPool) {
    let People { ana, ben, .. } = people(&pool).await;
    let draft = ana.schedule(&[]).await;
    ana.append(draft, "", "text/csv", phones(0..4).join("\n"))
        .await;
    assert_eq!(status(&ana, draft).await, "draft");
    assert_eq!(
        ana.post_step(draft, "activate").await.text("status"),
        "awaiting-approval"
    );
    // A short list that becomes long.
    let grown = ana.schedule(&phones(0..3)).await;
    ana.append(grown, "", "text/csv", "+12012000009").await;
    assert_eq!(status(&ana, grown).await, "awaiting-approval");
    // A pause, in which it is changed or its time passes, and its end.
    assert_eq!(approve(&ben, grown).await, "scheduled");
    ana.post_step(grown, "pause").await;
    assert_eq!(
        ana.post_step(grown, "resume").await.text("status"),
        "scheduled",
        "unchanged"
    );
    ana.post_step(grown, "pause").await;
    ana.patch(grown, &json!({"message": "Changed"})).await;
    assert_eq!(status(&ana, grown).await, "paused");
    assert_eq!(
        ana.post_step(grown, "resume").await.text("status"),
        "awaiting-approval"
    );
    assert_eq!(approve(&ben, grown).await, "scheduled");
    ana.post_step(grown, "pause").await;
    let passed = "UPDATE schedules SET run_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE WHERE id = ?";
    execute(&pool, grown, passed).await;
    let resumed = ana
        .post_json(
            &format!("/v1/schedules/{grown}/resume"),
            &json!({"now": true}),
        )
        .await;
    assert_eq!(resumed.text("status"), "awaiting-approval", "another time");
    // What was missed as a whole, and would be sent now.
    execute(&pool, draft, "UPDATE schedules SET status = 'missed', run_at = UTC_TIMESTAMP(3) - INTERVAL 1 DAY WHERE id = ?").await;
    assert_eq!(
        ana.post_step(draft, "send-now").await.text("status"),
        "awaiting-approval"
    );
    // Somebody else switches the rule off: what needed an approval still does.
    let without = with_rule(&ana, 0, "");
    without.patch(draft, &json!({"message": "Changed"})).await;
    assert_eq!(status(&ana, draft).await, "awaiting-approval");
    assert_eq!(without.schedule(&phones(0..9)).await.get_version_num(), 7);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_has_begun_with_an_approval_sends_what_was_approved(pool: MySqlPool) {
    let People { ana, ben, .. } = people(&pool).await;
    let mut body = request();
    body["recipients"] = json!(phones(0..4));
    body["send_within_s"] = json!(3_600);
    let id = ana.post(&body).await.id();
    assert_eq!(approve(&ben, id).await, "scheduled");
    execute(&pool, id, "UPDATE schedules SET status = 'running', batch_count = 1, dispatched_at = UTC_TIMESTAMP(3), dispatched_by = 'queue' WHERE id = ?").await;
    execute(&pool, id, "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, pending, planned_at, send_at, sweep_at)
      VALUES (?, 1, 1, 4, 4, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))").await;
    assert_eq!(
        patch_recipient(&ana, id, 1, json!({"phone": "+12012000007"})).await,
        StatusCode::CONFLICT
    );
    assert_eq!(
        ana.patch(id, &json!({"send_within_s": 7_200}))
            .await
            .problem(),
        "schedule-begun"
    );
    assert_eq!(
        ana.patch(id, &json!({"send_within_s": null}))
            .await
            .problem(),
        "schedule-begun"
    );
    assert_eq!(
        ana.patch(id, &json!({"send_within_s": 1_800})).await.status,
        StatusCode::OK
    );
    let cancel = Request::delete(format!("/v1/schedules/{id}/recipients/2")).body(Body::empty());
    assert!(ana.call(cancel.unwrap()).await.status.is_success());
    let recipients = "SELECT COUNT(*) FROM recipients WHERE phone = '+12012000007'";
    assert_eq!(count(&pool, recipients).await, 0);
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
async fn a_long_list_is_hashed_in_steps_and_never_stale(pool: MySqlPool) {
    let People { ana, ben, .. } = people(&pool).await;
    let draft = ana.schedule(&[]).await;
    ana.append(draft, "", "text/csv", phones(0..12_000).join("\n"))
        .await;
    ana.post_step(draft, "activate").await;
    let whole = hash(&ben, draft).await;
    let stored = "SELECT COUNT(*) FROM schedule_approvals WHERE is_hashed AND hashed_seq = 12000";
    assert_eq!(count(&pool, stored).await, 1);
    // A call that ended after the first page: the next one goes on there, with the same result.
    execute(&pool, draft, "UPDATE schedule_approvals SET list_hash = NULL, hashed_seq = 0, is_hashed = 0 WHERE schedule_id = ?").await;
    assert_eq!(hash(&ben, draft).await, whole);
    // One that was interrupted by a change stores nothing.
    let sql = "UPDATE schedule_approvals SET list_version = list_version + 1, is_hashed = 0, hashed_seq = 0, list_hash = NULL";
    sqlx::query(sql).execute(&pool).await.unwrap();
    ana.append(draft, "", "text/csv", "+12019999999").await;
    assert_ne!(hash(&ben, draft).await, whole);
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
