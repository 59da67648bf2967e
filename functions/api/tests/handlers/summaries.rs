//! The summary of a finished schedule, in its own answer and in lists.

use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Api, rows};

/// When the schedule of a summary has finished.
const FINISHED: &str = "status = 'finished', finished_at = '2026-11-29 09:59:00.123'";

/// Writes a summary that is complete.
async fn summarize(pool: &MySqlPool, id: Uuid, assignments: &str) {
    let sql = format!(
        "REPLACE INTO schedule_summaries SET schedule_id = ?, finishes = 1, requested_at = '2026-11-29 09:59:00.123', next_batch = 1,
           done_at = '2026-11-29 10:00:00', {assignments}"
    );
    sqlx::query(&sql).bind(id).execute(pool).await.unwrap();
}

/// Returns the summaries of the schedule, in its own answer and in the list.
async fn shown(api: &Api, id: Uuid) -> [Value; 2] {
    let one = api.get(&format!("/v1/schedules/{id}")).await.body;
    let list = api.get("/v1/schedules").await.body;
    let all = list["schedules"].as_array().unwrap();
    let listed = all.iter().find(|schedule| schedule["id"] == json!(id));
    [&one, listed.unwrap()].map(|schedule| schedule.as_object().unwrap()["summary"].clone())
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_finished_schedule_shows_how_long_its_messages_took(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let [finished, empty] = [
        rows::cut(&api, &pool, 1).await,
        rows::cut(&api, &pool, 1).await,
    ];
    let values = "due_to_sent_count = 5, due_to_sent_p50_ms = 210, due_to_sent_p99_ms = 950, due_to_sent_max_ms = 1003,
        sent_to_final_count = 4, sent_to_final_p50_ms = 4100, sent_to_final_p99_ms = 59000, sent_to_final_max_ms = 61234";
    summarize(&pool, finished, values).await;
    summarize(
        &pool,
        empty,
        "due_to_sent_count = 0, sent_to_final_count = 0",
    )
    .await;
    assert_eq!(
        shown(&api, finished).await,
        [json!(null), json!(null)],
        "it runs"
    );
    for id in [finished, empty] {
        rows::schedule(&pool, id, FINISHED).await;
    }
    let expected = json!({
        "computed_at": "2026-11-29T10:00:00Z",
        "due_to_sent_ms": {"p50": 210, "p99": 950, "max": 1003, "count": 5},
        "sent_to_final_ms": {"p50": 4100, "p99": 59000, "max": 61234, "count": 4},
    });
    assert_eq!(shown(&api, finished).await, [expected.clone(), expected]);
    let nothing = json!({"p50": null, "p99": null, "max": null, "count": 0});
    for summary in shown(&api, empty).await {
        assert_eq!(summary["due_to_sent_ms"], nothing);
        assert_eq!(summary["sent_to_final_ms"], nothing);
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_summary_is_null_until_it_is_computed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 1).await;
    rows::schedule(&pool, id, FINISHED).await;
    assert_eq!(shown(&api, id).await, [json!(null), json!(null)]);
    // It had one, and has finished again.
    summarize(&pool, id, "due_to_sent_count = 5, sent_to_final_count = 5").await;
    assert_eq!(shown(&api, id).await[0]["due_to_sent_ms"]["count"], 5);
    let sql = "UPDATE schedule_summaries SET done_at = NULL, finishes = 2 WHERE schedule_id = ?";
    sqlx::query(sql).bind(id).execute(&pool).await.unwrap();
    assert_eq!(shown(&api, id).await, [json!(null), json!(null)]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_summary_of_an_earlier_finish_is_not_shown(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 1).await;
    rows::schedule(&pool, id, FINISHED).await;
    summarize(&pool, id, "due_to_sent_count = 5, sent_to_final_count = 5").await;
    assert_ne!(shown(&api, id).await, [json!(null), json!(null)]);
    // The release before does not request summaries.
    rows::schedule(&pool, id, "finished_at = '2026-11-29 12:00:00'").await;
    assert_eq!(shown(&api, id).await, [json!(null), json!(null)]);
}
