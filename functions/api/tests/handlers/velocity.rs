//! Who has begun to send unusually fast is listed with what needs attention.

use chrono::{TimeDelta, Utc};
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::common::Api;

#[sqlx::test(migrator = "MIGRATOR")]
async fn callers_that_were_too_fast_within_a_day_are_listed(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    assert_eq!(admin.get("/v1/attention").await.body["callers"], json!([]));
    let now = Utc::now();
    for (name, hours, parts, is_exceeded) in [
        ("key:a", 2, 700, true),
        ("user:b", 1, 900, true),
        ("user:usual", 1, 900, false),
        ("key:long-ago", 25, 900, true),
    ] {
        let at = now - TimeDelta::hours(hours);
        sqlx::query("INSERT INTO velocity_days (created_by, day, most_parts, exceeded_at) VALUES (?, ?, ?, ?)")
            .bind(name)
            .bind(at.date_naive())
            .bind(parts)
            .bind(is_exceeded.then_some(at))
            .execute(&pool)
            .await
            .unwrap();
    }
    let shown = admin.get("/v1/attention").await.body;
    let callers = shown["callers"].as_array().unwrap();
    let callers: Vec<_> = callers
        .iter()
        .map(|caller| (&caller["created_by"], &caller["parts_per_hour"]))
        .collect();
    let expected = [
        (&json!("user:b"), &json!(900)),
        (&json!("key:a"), &json!(700)),
    ];
    assert_eq!(callers, expected, "the newest first");
    assert!(shown["callers"][0]["exceeded_at"].is_string());
    assert_eq!(shown["total"], 0);
}
