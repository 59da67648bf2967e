//! `attempt`, `sends` and `resends`: numbers that a reader can add up.

use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::common::{
    Api,
    receipts::row,
    rows::{cut, uncertain},
};

/// In each state, how many requests the carrier has accepted, or may have.
#[sqlx::test(migrator = "MIGRATOR")]
async fn sends_are_the_requests_that_were_not_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = cut(&api, &pool, 3).await;
    let at = "sent_at = UTC_TIMESTAMP(3)";
    let end = "final_at = UTC_TIMESTAMP(3)";
    // The assignments, and `attempt`, `sends`, `resends`.
    let table = [
        ("status = 'PENDING'".to_owned(), [0, 0, 0]),
        (format!("status = 'PENDING', attempt = 2, {at}"), [2, 0, 0]),
        (
            format!("status = 'PENDING', attempt = 3, resends = 1, {at}"),
            [3, 1, 1],
        ),
        (format!("status = 'SENDING', attempt = 1, {at}"), [1, 1, 0]),
        (
            format!("status = 'DELIVRD', attempt = 3, id_start = 'm', {at}, {end}"),
            [3, 1, 0],
        ),
        (
            format!("status = 'DELIVRD', attempt = 5, resends = 2, id_start = 'm', {at}, {end}"),
            [5, 3, 2],
        ),
        (
            format!("status = 'EXPIRED', attempt = 2, id_start = 'm', {at}, {end}"),
            [2, 1, 0],
        ),
        (
            format!("status = 'EXPIRED', attempt = 2, error = 'send-until', {at}, {end}"),
            [2, 0, 0],
        ),
        (
            format!("status = 'REJECTD', attempt = 1, error = 'no route', {at}, {end}"),
            [1, 0, 0],
        ),
        (
            format!("status = 'REJECTD', attempt = 1, id_start = 'm', {at}, {end}"),
            [1, 1, 0],
        ),
        (
            format!("status = 'UNKNOWN', attempt = 1, {at}, {end}"),
            [1, 1, 0],
        ),
        (format!("status = 'CANCELLED', {end}"), [0, 0, 0]),
    ];
    for (seq, (assignments, _)) in (1..).zip(&table) {
        row(&pool, id, seq, assignments).await;
    }
    uncertain(&pool, id, 13..=13, 900).await;
    let list = api
        .get(&format!("/v1/schedules/{id}/recipients?limit=13"))
        .await
        .body;
    let messages = api
        .get(&format!("/v1/messages?schedule_id={id}&limit=13"))
        .await
        .body;
    let numbers = |row: &Value| json!([row["attempt"], row["sends"], row["resends"]]);
    for rows in [&list["recipients"], &messages["messages"]] {
        let rows = rows.as_array().unwrap();
        for (row, (assignments, expected)) in rows.iter().zip(&table) {
            assert_eq!(numbers(row), json!(expected), "{assignments}");
        }
        assert_eq!(numbers(&rows[12]), json!([1, 1, 0]));
    }
}
