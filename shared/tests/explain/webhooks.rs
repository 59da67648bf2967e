//! What events and their deliveries ask.

use chrono::{TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{Plan, complaints, explain, fill, statement};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn events_and_deliveries_use_their_keys(pool: MySqlPool) {
    let id = fill(&pool).await[0];
    let (now, webhook, event) = (Utc::now(), Uuid::now_v7(), Uuid::now_v7());
    let sql = "INSERT INTO webhooks (id, url, events, key_id, created_at, created_by) VALUES (?, 'https://x', 'messages.final', 'x', ?, 'x')";
    sqlx::query(sql)
        .bind(webhook)
        .bind(now)
        .execute(&pool)
        .await
        .unwrap();
    let seqs = serde_json::to_string(&(1..=2000).collect::<Vec<u32>>()).unwrap();
    let sql = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, status, due_at, created_at)
        SELECT ?, UNHEX(LPAD(HEX(j.n), 32, '0')), 'x', IF(j.n % 100, 'delivered', 'pending'), IF(j.n % 100, NULL, ?), ? - INTERVAL j.n HOUR
        FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j";
    sqlx::query(sql)
        .bind(webhook)
        .bind(now)
        .bind(now)
        .bind(&seqs)
        .execute(&pool)
        .await
        .unwrap();
    let sql = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, due_at, created_at) VALUES (?, ?, 'x', ?, ?)";
    sqlx::query(sql)
        .bind(webhook)
        .bind(event)
        .bind(now)
        .bind(now)
        .execute(&pool)
        .await
        .unwrap();
    sqlx::raw_sql("ANALYZE TABLE webhooks, webhook_deliveries")
        .execute(&pool)
        .await
        .unwrap();
    let mut wrong = Vec::new();
    let mut check =
        |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));

    let sql = statement(&["UPDATE recipients SET final_event = ?"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(event).bind(id).bind(1).bind(20).bind(2).bind(1000)
    })
    .await;
    check("tell what has ended", plan, &[("recipients", "PRIMARY")]);

    let sql = statement(&["MIN(seq)", "final_event = ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(20).bind(event)).await;
    check(
        "the range that was told",
        plan,
        &[("recipients", "PRIMARY")],
    );

    let sql = statement(&["carrier_status", "final_event = ?", "ORDER BY seq"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(20).bind(event)).await;
    check(
        "the messages of an event",
        plan,
        &[("recipients", "PRIMARY")],
    );

    let sql = statement(&["SET due_at = ?, tries = tries + 1"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(now).bind(now).bind(webhook).bind(event).bind(now)
    })
    .await;
    check(
        "claim a delivery",
        plan,
        &[("webhook_deliveries", "PRIMARY")],
    );

    let sql = statement(&[
        "FROM webhook_deliveries d JOIN webhooks w",
        "d.event_id = ?",
        "d.tries",
    ]);
    let plan = explain(&pool, &sql, |q| q.bind(webhook).bind(event)).await;
    check(
        "read a delivery",
        plan,
        &[("d", "PRIMARY"), ("w", "PRIMARY")],
    );

    let sql = statement(&[
        "FROM webhook_deliveries",
        "WHERE due_at <= ? ORDER BY due_at LIMIT ?",
    ]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(now - TimeDelta::seconds(1)).bind(1000)
    })
    .await;
    check("due deliveries", plan, &[("webhook_deliveries", "due")]);

    let sql = statement(&["SET d.due_at = LEAST(d.due_at, ?)"]);
    let names =
        serde_json::json!([[webhook.simple().to_string(), event.simple().to_string()]]).to_string();
    let plan = explain(&pool, &sql, |q| q.bind(names).bind(now)).await;
    check("deliver soon", plan, &[("d", "PRIMARY")]);

    let sql = statement(&["DELETE FROM webhook_deliveries WHERE created_at < ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(now - TimeDelta::days(80)).bind(10)).await;
    check(
        "delete old deliveries",
        plan,
        &[("webhook_deliveries", "by_age")],
    );

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
