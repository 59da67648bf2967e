//! What the API asks about webhooks and their deliveries.

use chrono::Utc;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{Plan, complaints, explain, statement};

/// Twenty webhooks, one of them with 18,000 deliveries of which every tenth has failed.
async fn fill(pool: &MySqlPool, known: Uuid) {
    let numbers =
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 900) SELECT";
    for sql in [
        format!(
            "INSERT INTO webhooks (id, url, events, key_id, created_at, created_by)
             {numbers} UNHEX(LPAD(HEX(n), 32, '0')), '', 'messages.final', '', NOW(), '' FROM n LIMIT 20"
        ),
        format!(
            "INSERT INTO webhook_deliveries (webhook_id, event_id, type, status, due_at, created_at)
             {numbers} UNHEX('{}'), UNHEX(LPAD(HEX(n.n * 20 + k.n), 32, '0')), 'messages.final', IF(n.n % 10, 'pending', 'failed'),
               IF(n.n % 10, NOW(), NULL), NOW() FROM n JOIN (SELECT n FROM n LIMIT 20) k",
            known.simple()
        ),
    ] {
        sqlx::query(&sql).execute(pool).await.unwrap();
    }
    sqlx::raw_sql("ANALYZE TABLE webhooks, webhook_deliveries")
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn every_statement_about_webhooks_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let (now, id, known) = (Utc::now(), Uuid::nil(), Uuid::from_u128(7));
    fill(&pool, known).await;
    let mut wrong = Vec::new();
    let mut check = |what: &str, plan: Plan, table: &str| {
        wrong.extend(complaints(what, &plan, &[(table, "PRIMARY")]))
    };
    let none = None::<String>;

    let plan = explain(&pool, &statement(&["FROM webhooks WHERE id > ?"]), |q| {
        q.bind(id).bind(50)
    })
    .await;
    check("a page of webhooks", plan, "webhooks");
    let plan = explain(
        &pool,
        &statement(&["FROM webhooks WHERE id = ? FOR UPDATE"]),
        |q| q.bind(known),
    )
    .await;
    check("a webhook", plan, "webhooks");
    let sql = statement(&["UPDATE webhooks", "secret_no = secret_no + 1"]);
    check(
        "a rotation",
        explain(&pool, &sql, |q| q.bind("").bind(now).bind(known).bind(1)).await,
        "webhooks",
    );
    let sql = statement(&["UPDATE webhooks", "description = ?"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind("")
            .bind("")
            .bind(none.clone())
            .bind(none.clone())
            .bind(none.clone())
            .bind(none.clone())
            .bind(known)
    });
    check("a change", plan.await, "webhooks");

    let sql = statement(&["FROM webhook_deliveries", "ORDER BY event_id DESC"]);
    for (what, status) in [
        ("a page of deliveries", None),
        ("a page of failed ones", Some("failed")),
    ] {
        let plan = explain(&pool, &sql, |q| {
            let q = q
                .bind(known)
                .bind(Uuid::max())
                .bind(status)
                .bind(status)
                .bind(none.clone())
                .bind(none.clone());
            q.bind(50)
        });
        check(what, plan.await, "webhook_deliveries");
    }
    let sql = statement(&[
        "http_status, error",
        "FROM webhook_deliveries WHERE webhook_id = ? AND event_id = ?",
    ]);
    check(
        "a delivery",
        explain(&pool, &sql, |q| q.bind(known).bind(Uuid::from_u128(21))).await,
        "webhook_deliveries",
    );
    let sql = statement(&["tries = 0, due_at = ? WHERE webhook_id = ? AND event_id = ?"]);
    check(
        "a repeat",
        explain(&pool, &sql, |q| {
            q.bind(now).bind(known).bind(Uuid::from_u128(21))
        })
        .await,
        "webhook_deliveries",
    );
    let sql = statement(&["event_id >= ? AND status = 'failed'"]);
    check(
        "what failed",
        explain(&pool, &sql, |q| q.bind(known).bind(id).bind(200)).await,
        "webhook_deliveries",
    );
    let sql = statement(&["event_id BETWEEN ? AND ? AND status = 'failed'"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(now)
            .bind(known)
            .bind(Uuid::from_u128(21))
            .bind(Uuid::from_u128(400))
    });
    check("its repeat", plan.await, "webhook_deliveries");
    let sql = statement(&[
        "DELETE FROM webhook_deliveries WHERE webhook_id = ?",
        "LIMIT",
    ]);
    check(
        "what a webhook leaves",
        explain(&pool, &sql, |q| q.bind(known).bind(1_000)).await,
        "webhook_deliveries",
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
