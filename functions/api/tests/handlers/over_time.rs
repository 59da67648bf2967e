//! The messages of a schedule over time.

use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::common::{Api, phones, rows};

#[sqlx::test(migrator = "MIGRATOR")]
async fn messages_are_counted_over_time(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 2).await;
    let path = format!("/v1/schedules/{id}/progress");
    let nothing = json!({"interval_s": 1, "is_sample": false, "points": []});
    assert_eq!(api.get(&path).await.body, nothing);
    for sql in [
        "UPDATE recipients SET status = 'DELIVRD', attempt = 1, id_start = 'm', sent_at = '2026-11-29 10:00:00.900',
           final_at = '2026-11-29 10:00:21' WHERE seq <= 4 AND schedule_id = ?",
        "UPDATE recipients SET status = 'ACCEPTD', attempt = 1, id_start = 'm', sent_at = '2026-11-29 10:00:12' WHERE seq = 5 AND schedule_id = ?",
        // Never sent: the carrier refused the first request, and then it was cancelled.
        "UPDATE recipients SET status = 'CANCELLED', attempt = 1, sent_at = '2026-11-29 09:00:00', final_at = '2026-11-29 10:00:30'
           WHERE seq = 6 AND schedule_id = ?",
    ] {
        sqlx::query(sql).bind(id).execute(&pool).await.unwrap();
    }
    rows::schedule(
        &pool,
        id,
        "status = 'finished', finished_at = '2026-11-29 11:00:00'",
    )
    .await;
    let shown = api.get(&format!("{path}?interval_s=10")).await.body;
    let points = [("00", 4, 0), ("10", 1, 0), ("20", 0, 4)].map(|(second, sent, ended)| {
        json!({"at": format!("2026-11-29T10:00:{second}Z"), "sent": sent, "final": ended})
    });
    assert_eq!(
        shown,
        json!({"interval_s": 10, "is_sample": false, "points": points})
    );
    let refused = api.get(&format!("{path}?interval_s=0")).await;
    assert_eq!(refused.body["errors"][0]["code"], "out-of-range");
    let missing = "/v1/schedules/018f0000-0000-7000-8000-000000000000/progress";
    assert_eq!(api.get(missing).await.problem(), "not-found");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn of_a_long_list_a_part_is_read(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..25_000)).await;
    // A thousand recipients in each second, and each delivered three seconds later.
    let sql = "UPDATE recipients SET status = 'DELIVRD', attempt = 1, id_start = 'm',
           sent_at = '2026-11-29 10:00:00' + INTERVAL FLOOR((seq - 1) / 1000) SECOND,
           final_at = '2026-11-29 10:00:03' + INTERVAL FLOOR((seq - 1) / 1000) SECOND WHERE schedule_id = ?";
    sqlx::query(sql).bind(id).execute(&pool).await.unwrap();
    let shown = api.get(&format!("/v1/schedules/{id}/progress")).await.body;
    assert_eq!(shown["is_sample"], true);
    let points = shown["points"].as_array().unwrap();
    assert_eq!(points.len(), 28);
    let sum = |name: &str| {
        points
            .iter()
            .map(|point| point[name].as_u64().unwrap())
            .sum::<u64>()
    };
    for name in ["sent", "final"] {
        assert!(sum(name).abs_diff(25_000) < 10, "{name} {}", sum(name));
    }
    for point in &points[..25] {
        assert!(
            point["sent"].as_u64().unwrap().abs_diff(1_000) < 10,
            "{point}"
        );
    }
}
