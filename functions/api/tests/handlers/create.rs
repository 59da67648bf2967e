//! Creating a schedule with its recipients: rows, duplicates, invalid entries, and its message to
//! dispatch. Also the health route.

use std::sync::atomic::Ordering;

use crate::common::{Answer, Api, LEAD, count, in_seconds, phones, request};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::platform::{db::MIGRATOR, queue::DispatchMessage};
use sqlx::MySqlPool;

/// Creates a schedule with two distinct numbers, given four times. Returns its `run_at` as sent.
async fn create_with_duplicates(api: &Api) -> (String, Answer) {
    let run_at = "2026-12-01T09:30:00.250+08:00";
    let run_at = if DateTime::parse_from_rfc3339(run_at).unwrap() > Utc::now() {
        run_at.to_owned()
    } else {
        in_seconds(3_600)
    };
    let answer = api
        .post(&json!({
            "run_at": run_at, "message": "Grüße aus 東京", "sender": "Acme 1", "rate": 20, "max_attempts": 1,
            "max_lateness_s": 60, "resend_within_s": 0, "on_uncertain": "resend",
            "recipients": ["+60123456789", {"phone": "+60 12-345 6780"}, "+60123456789", "+60123456780"],
        }))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    (run_at, answer)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_created_schedule_is_described_in_the_response(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (run_at, answer) = create_with_duplicates(&api).await;
    assert_eq!(
        answer.headers["location"],
        format!("/v1/schedules/{}", answer.id()).as_str()
    );
    let body = &answer.body;
    assert_eq!(
        (DateTime::parse_from_rfc3339(body["run_at"].as_str().unwrap())),
        DateTime::parse_from_rfc3339(&run_at)
    );
    assert_eq!(
        body["run_at"].as_str().unwrap()[19..],
        run_at[19..].to_owned()
    );
    assert_eq!(
        body["recipients"],
        json!({"total": 2, "invalid": 0, "duplicates": 2})
    );
    assert_eq!(
        (&body["status"], &body["encoding"], &body["parts"]),
        (&json!("scheduled"), &json!("UCS-2"), &json!(1))
    );
    assert_eq!(
        (
            &body["counts"]["PENDING"],
            body["counts"].as_object().unwrap().len()
        ),
        (&json!(2), 14)
    );
    assert_eq!(body["invalid"], json!([]));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_created_schedule_is_shown_with_its_recipients(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (_, answer) = create_with_duplicates(&api).await;
    let shown = api.get(&format!("/v1/schedules/{}", answer.id())).await;
    assert_eq!(shown.status, StatusCode::OK);
    // Only an answer to GET has a forecast.
    let members = shown.body.as_object().unwrap().iter();
    for (name, value) in members.filter(|(name, _)| *name != "forecast") {
        assert_eq!(Some(value), answer.body.get(name), "{name}");
    }
    let listed = api
        .get(&format!("/v1/schedules/{}/recipients", answer.id()))
        .await;
    let listed: Vec<_> = listed.body["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["seq"], &row["phone"]))
        .collect();
    assert_eq!(
        listed,
        [
            (&json!(1), &json!("+60123456789")),
            (&json!(2), &json!("+60123456780"))
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn health_reports_version_commit_and_database(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let answer = api.get("/health?deep=true").await;
    let expected = json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "commit": "c0ffee", "database": "ok"});
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &expected));
    api.db.pool.close().await;
    let answer = api.get("/health?deep=true").await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    );
    assert_eq!(
        (&answer.body["commit"], &answer.body["database"]),
        (&json!("c0ffee"), &json!("unavailable"))
    );
}

/// A request with two valid numbers, one of them given twice, and two invalid entries.
fn with_invalid_entries() -> Value {
    let mut body = request();
    let long = "😀".repeat(100);
    body["recipients"] =
        json!(["+12012000000", "pineapple", {"phone": "+12012000001"}, long, "+12012000000"]);
    body
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn invalid_entries_refuse_the_list_by_default(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let refused = api.post(&with_invalid_entries()).await;
    assert_eq!(
        (refused.status, &refused.body["errors_total"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!(2))
    );
    assert_eq!(refused.body["errors"][1]["position"], 3);
    assert!(!refused.body.to_string().contains("pineapple"));
    assert_eq!(
        count(
            &pool,
            "SELECT (SELECT COUNT(*) FROM schedules) + (SELECT COUNT(*) FROM recipients)"
        )
        .await,
        0
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn invalid_entries_are_stored_under_skip(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = with_invalid_entries();
    body["on_invalid"] = json!("skip");
    let taken = api.post(&body).await;
    assert_eq!(
        (taken.status, &taken.body["recipients"]),
        (
            StatusCode::CREATED,
            &json!({"total": 2, "invalid": 2, "duplicates": 1})
        )
    );
    assert_eq!(
        (
            &taken.body["counts"]["PENDING"],
            &taken.body["counts"]["INVALID"]
        ),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (
            &taken.body["invalid"][0]["position"],
            &taken.body["invalid"][0]["input"]
        ),
        (&json!(1), &json!("pineapple"))
    );
    let kept = api
        .get(&format!(
            "/v1/schedules/{}/recipients?status=INVALID",
            taken.id()
        ))
        .await;
    let kept = kept.body["recipients"].as_array().unwrap();
    assert_eq!(
        (kept.len(), &kept[1]["input"], &kept[1]["error"]),
        (2, &json!("😀".repeat(64)), &json!("not-a-number"))
    );
    assert!(
        kept.iter()
            .all(|row| row["phone"].is_null() && row["final_at"].is_string())
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_the_first_100_errors_are_returned(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["recipients"] = json!(vec!["x"; 9_000]);
    let answer = api.post(&body).await;
    assert_eq!(
        (
            answer.body["errors"].as_array().unwrap().len(),
            &answer.body["errors_total"]
        ),
        (100, &json!(9_000))
    );
    assert_eq!(
        answer.body["detail"],
        "9000 errors, the first 100 shown; nothing was written"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn schedules_due_soon_are_queued_and_later_ones_go_to_the_scheduler(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let lead = LEAD.as_secs() as i64;
    let mut body = request();
    body["recipients"] = json!(phones(0..3));
    for (seconds, queued) in [(1, true), (lead + 3, true), (lead + 60, false)] {
        body["run_at"] = json!(in_seconds(seconds));
        let answer = api.post(&body).await;
        let message = DispatchMessage {
            schedule_id: answer.id(),
            version: 1,
        };
        let fire_at = DateTime::parse_from_rfc3339(answer.body["run_at"].as_str().unwrap())
            .unwrap()
            .to_utc()
            - LEAD;
        let (sent, created) = (
            api.fakes.queued.lock().unwrap().pop(),
            api.fakes.created.lock().unwrap().pop(),
        );
        assert_eq!(
            (sent, created),
            if queued {
                (Some(message), None)
            } else {
                (None, Some((message, fire_at)))
            }
        );
    }
    body["draft"] = json!(true);
    assert_eq!(api.post(&body).await.body["status"], "draft");
    assert!(
        api.fakes.queued.lock().unwrap().is_empty() && api.fakes.created.lock().unwrap().is_empty()
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_failing_queue_or_scheduler_loses_no_schedule(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    api.fakes.broken.store(true, Ordering::Relaxed);
    let mut body = request();
    body["recipients"] = json!(phones(0..3));
    for seconds in [10, 3_600] {
        body["run_at"] = json!(in_seconds(seconds));
        let answer = api.post(&body).await;
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (StatusCode::CREATED, &json!("scheduled"))
        );
        assert_eq!(
            api.post_step(answer.id(), "cancel").await.status,
            StatusCode::OK
        );
    }
    assert_eq!(
        count(
            &pool,
            "SELECT COUNT(*) FROM schedules WHERE batch_count IS NULL AND status = 'cancelled'"
        )
        .await,
        2
    );
}
