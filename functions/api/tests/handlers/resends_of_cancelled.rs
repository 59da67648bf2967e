//! A resend that was cancelled is followed by another, also before the sweep has closed it.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::common::{
    Api, in_seconds, phones,
    rows::{schedule, undelivered},
};

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_was_left_by_a_cancelled_resend_is_sent_to_by_the_next(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..5)).await;
    undelivered(&pool, id).await;
    let path = format!("/v1/schedules/{id}/resend");
    let draft = json!({"draft": true, "run_at": in_seconds(3_600)});
    let first = api.post_json(&path, &draft).await.id();
    assert_eq!(
        api.post_step(first, "cancel").await.body["status"],
        "cancelled"
    );
    // Of the five, one was never tried. One was delivered, and the others may have been: a message is
    // on its way, is lost, or was tried and waits to be sent again.
    for (seq, state) in [
        (
            1,
            "status = 'DELIVRD', attempt = 1, id_start = 'm', sent_at = UTC_TIMESTAMP(3), final_at = UTC_TIMESTAMP(3)",
        ),
        (
            2,
            "status = 'ACCEPTD', attempt = 1, id_start = 'm', sent_at = UTC_TIMESTAMP(3)",
        ),
        (
            3,
            "status = 'UNCERTAIN', attempt = 1, sent_at = UTC_TIMESTAMP(3)",
        ),
        (4, "attempt = 1, resends = 1, sent_at = UTC_TIMESTAMP(3)"),
    ] {
        let sql = format!("UPDATE recipients SET {state} WHERE schedule_id = ? AND seq = {seq}");
        sqlx::query(&sql).bind(first).execute(&pool).await.unwrap();
    }
    schedule(&pool, first, "batch_count = NULL").await;
    let second = api.post_json(&path, &draft).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.body);
    let list = format!("/v1/schedules/{}/recipients", second.id());
    let list = api.get(&list).await.body;
    let left: Vec<&Value> = list["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["phone"])
        .collect();
    assert_eq!(json!(left), json!(phones(4..5)));
}
