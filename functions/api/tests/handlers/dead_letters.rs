//! Dead letters: listed with the work that they name, and redriven by making their rows due.

use std::sync::atomic::Ordering;

use crate::common::{Api, count, rows};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::{db::MIGRATOR, queue::BatchMessage};
use sqlx::MySqlPool;
use uuid::Uuid;

const PATH: &str = "/v1/attention/dead-letters";

/// Calls the redrive route, which must succeed.
async fn redrive(api: &Api, query: &str) -> Value {
    let answer = api
        .post_json(&format!("{PATH}/redrive{query}"), &json!({}))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

fn batch(schedule_id: Uuid, batch_no: u32) -> Value {
    json!(BatchMessage {
        schedule_id,
        batch_no
    })
}

/// Puts a batch and a malformed body into the queue of send, and a sweep into that of dispatch.
fn put_three(api: &Api) {
    api.fakes.send_dead_letters.put(&batch(Uuid::nil(), 3));
    api.fakes.send_dead_letters.put(&"x".repeat(1_000));
    let sweep = json!({"requestPayload": {"sweep": true}});
    api.fakes.dispatch_dead_letters.put(&sweep);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn dead_letters_are_listed_with_the_work_they_name(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    put_three(&api);
    for _ in 0..2 {
        // Listing removes nothing.
        let listed = api.get(PATH).await.body;
        assert_eq!(listed["counts"], json!({"send": 2, "dispatch": 1}));
        let entries = listed["entries"].as_array().unwrap();
        let names: Vec<_> = entries
            .iter()
            .map(|entry| (&entry["queue"], &entry["names"]))
            .collect();
        let (send, dispatch) = (json!("send"), json!("dispatch"));
        assert_eq!(
            names,
            [
                (&send, &json!([batch(Uuid::nil(), 3)])),
                (&send, &json!([])),
                (&dispatch, &json!([{"sweep": true}]))
            ]
        );
        assert_eq!(
            entries[1]["malformed"],
            json!({"reason": "not JSON", "body": "x".repeat(256)})
        );
        assert!(entries[0].get("malformed").is_none() && entries[0]["sent_at"].is_string());
    }
    assert_eq!(
        api.get(&format!("{PATH}?limit=1")).await.body["entries"]
            .as_array()
            .unwrap()
            .len(),
        2,
        "one per queue"
    );
    assert_eq!(
        api.get(&format!("{PATH}?cursor=x")).await.problem(),
        "invalid-request"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_attention_overview_counts_dead_letters(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    put_three(&api);
    let overview = api.get("/v1/attention").await.body;
    assert_eq!(
        (
            &overview["total"],
            &overview["kinds"]["dead-letters"]["count"]
        ),
        (&json!(3), &json!(3))
    );
    api.fakes
        .send_dead_letters
        .broken
        .store(true, Ordering::Relaxed);
    let overview = api.get("/v1/attention").await.body;
    assert_eq!(
        (
            &overview["kinds"]["dead-letters"]["unreachable"],
            &overview["total"]
        ),
        (&json!(["send"]), &json!(1))
    );
}

/// Creates a schedule of four batches, and nine dead letters. Batch 4 has nothing to do, batch 1 is
/// named twice, and one batch has no schedule. Then one malformed body, an event with two batches,
/// a schedule, and a sweep.
async fn schedule_with_dead_letters(api: &Api, pool: &MySqlPool) -> Uuid {
    let id = rows::cut(api, pool, 4).await;
    for (no, assignments) in [
        (1, "send_at = now(-60), sweep_at = now(900), requeues = 5"),
        (2, "check_at = now(-60), sweep_at = now(900), requeues = 5"),
        (
            3,
            "send_at = now(-60), sweep_at = now(65), requeues = 5, claim(60)",
        ),
    ] {
        rows::batch(pool, id, no, assignments).await;
    }
    for no in [1, 1, 3, 4] {
        api.fakes.send_dead_letters.put(&batch(id, no));
    }
    api.fakes.send_dead_letters.put(&batch(Uuid::nil(), 1));
    api.fakes.send_dead_letters.put(&"hello");
    api.fakes.send_dead_letters.put(&json!({"Records": [{"body": batch(id, 2).to_string()}, {"body": batch(id, 4).to_string()}]}));
    api.fakes
        .dispatch_dead_letters
        .put(&json!({"schedule_id": id, "version": 1}));
    api.fakes.dispatch_dead_letters.put(&json!({"sweep": true}));
    id
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_redrive_makes_rows_due_and_deletes_the_dead_letters(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = schedule_with_dead_letters(&api, &pool).await;
    let done = redrive(&api, "").await;
    assert_eq!(
        (
            &done["changed"],
            &done["deleted"],
            &done["discarded"],
            &done["more"]
        ),
        (&json!(2), &json!(8), &json!(0), &json!(false))
    );
    assert_eq!(
        done["left"]["malformed"][0]["malformed"],
        json!({"reason": "not JSON", "body": "hello"})
    );
    let lines = [
        rows::batch_line(&pool, id, 1).await,
        rows::batch_line(&pool, id, 2).await,
        rows::batch_line(&pool, id, 3).await,
    ];
    assert_eq!(
        lines,
        [
            "free unowned past - past past 0 0 0",
            "free unowned - past past past 0 0 0",
            "free owned past - later past 0 5 0"
        ]
    );
    assert_eq!(
        rows::batch_line(&pool, id, 4).await,
        "free unowned - - - past 0 0 0"
    );
    assert_eq!(
        (
            api.fakes.send_dead_letters.counts(),
            api.fakes.dispatch_dead_letters.counts()
        ),
        ((1, 0), (0, 0)),
        "the malformed dead letter is put back"
    );
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 1);
    let log = api
        .admin()
        .await
        .audit("&action=dead-letters.redrive")
        .await;
    let letters: usize = log
        .iter()
        .map(|entry| entry["after"]["letters"].as_array().unwrap().len())
        .sum();
    assert_eq!(letters, 8, "{log:?}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_redrive_that_fails_half_way_has_recorded_what_it_did(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for n in 0..25 {
        let letter = json!({"schedule_id": Uuid::nil(), "version": n});
        api.fakes.dispatch_dead_letters.put(&letter);
    }
    // After the second group of ten nothing can be recorded any more.
    let sql = "CREATE TRIGGER full BEFORE INSERT ON audit_log FOR EACH ROW
        IF NEW.action = 'dead-letters.redrive' AND (SELECT COUNT(*) FROM audit_log WHERE action = 'dead-letters.redrive') >= 2
        THEN SIGNAL SQLSTATE '45000'; END IF";
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    let failed = api.post_json(&format!("{PATH}/redrive"), &json!({})).await;
    assert_eq!(failed.status.as_u16(), 500, "{}", failed.body);
    let recorded = count(
        &pool,
        "SELECT COUNT(*) FROM audit_log WHERE action = 'dead-letters.redrive'",
    )
    .await;
    assert_eq!(recorded, 2);
    let (visible, hidden) = api.fakes.dispatch_dead_letters.counts();
    assert_eq!(visible + hidden, 5, "twenty were deleted, and recorded");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn malformed_dead_letters_are_discarded_only_on_request(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.fakes.send_dead_letters.put(&"hello");
    let kept = redrive(&api, "?discard_malformed=false").await;
    assert_eq!(
        (
            &kept["deleted"],
            &kept["discarded"],
            &kept["left"]["malformed"][0]["queue"]
        ),
        (&json!(0), &json!(0), &json!("send"))
    );
    assert_eq!(
        redrive(&api, "?discard_malformed=true").await["discarded"],
        1
    );
    assert_eq!(api.fakes.send_dead_letters.counts(), (0, 0));
    let wrong = api
        .post_json(&format!("{PATH}/redrive?discard_malformed=yes"), &json!({}))
        .await;
    assert_eq!(wrong.body["errors"][0]["field"], "discard_malformed");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unreachable_queue_does_not_block_the_redrive_of_others(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.fakes
        .send_dead_letters
        .broken
        .store(true, Ordering::Relaxed);
    for n in 0..25 {
        api.fakes
            .dispatch_dead_letters
            .put(&json!({"schedule_id": Uuid::nil(), "version": n}));
    }
    let done = redrive(&api, "").await;
    assert_eq!(
        (&done["left"]["unreachable"], &done["deleted"]),
        (&json!(["send"]), &json!(25))
    );
}
