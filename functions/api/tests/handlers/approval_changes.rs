//! What voids an approval, and what does not: each change of what is sent, and each way to begin.

use std::collections::HashSet;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::{
    approvals::{
        People, approval, approve, approve_with, hash, patch_recipient, people, status, with_rule,
    },
    common::{count, in_seconds, phones, request, states::execute},
};

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_change_of_what_is_sent_voids_the_approval(pool: MySqlPool) {
    let People { ana, ben, root } = people(&pool).await;
    let sender = Request::put("/v1/senders/Acme")
        .header("content-type", "application/json")
        .body(Body::from("{}"));
    assert_eq!(root.call(sender.unwrap()).await.status, StatusCode::CREATED);
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
async fn what_waits_again_after_a_change_says_so(pool: MySqlPool) {
    let People { ana, ben, .. } = people(&pool).await;
    let id = ana.schedule(&phones(0..4)).await;
    let has_changed = async || {
        approval(&ben, id).await["changed_since_approval"]
            .as_bool()
            .unwrap()
    };
    assert!(!has_changed().await, "it was never approved");
    ana.patch(id, &json!({"message": "Before"})).await;
    assert!(!has_changed().await, "it was never approved");
    assert_eq!(approve(&ben, id).await, "scheduled");
    assert!(!has_changed().await, "it is approved");
    ana.patch(id, &json!({"message": "After"})).await;
    assert_eq!(status(&ana, id).await, "awaiting-approval");
    assert!(has_changed().await);
    assert_eq!(approve(&ben, id).await, "scheduled");
    assert!(!has_changed().await, "it is approved again");
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
