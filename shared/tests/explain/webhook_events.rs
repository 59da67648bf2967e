//! The statements of events and of their deliveries.

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::db::Clock;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::Plans,
    tables::{analyze, insert_schedules, numbers_to_2000},
};

/// The values that the statements take.
struct Values {
    id: Uuid,
    webhook: Uuid,
    event: Uuid,
    now: DateTime<Utc>,
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_events_and_deliveries_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let values = Values {
        id: insert_schedules(&pool).await[0],
        webhook: Uuid::now_v7(),
        event: Uuid::now_v7(),
        // In whole milliseconds: a column would round a later fraction up, so that the delivery would
        // not be due.
        now: Clock::default().now(),
    };
    insert_deliveries(&pool, &values).await;
    let mut plans = Plans::new(&pool);
    check_final_messages(&mut plans, &values).await;
    check_delivery(&mut plans, &values).await;
    check_places(&mut plans, &values).await;
    check_sweep(&mut plans, &values).await;
    plans.assert_none_wrong();
}

/// One webhook with 2,000 deliveries of which every hundredth is pending, and a delivery of the
/// event.
async fn insert_deliveries(pool: &MySqlPool, values: &Values) {
    let Values {
        webhook,
        event,
        now,
        ..
    } = values;
    let sql = "INSERT INTO webhooks (id, url, events, key_id, created_at, created_by) VALUES (?, 'https://x', 'messages.final', 'x', ?, 'x')";
    let insert = sqlx::query(sql).bind(webhook).bind(now);
    insert.execute(pool).await.unwrap();
    let sql = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, status, due_at, created_at)
        SELECT ?, UNHEX(LPAD(HEX(j.n), 32, '0')), 'x', IF(j.n % 100, 'delivered', 'pending'), IF(j.n % 100, NULL, ?), ? - INTERVAL j.n HOUR
        FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j";
    let insert = sqlx::query(sql)
        .bind(webhook)
        .bind(now)
        .bind(now)
        .bind(numbers_to_2000());
    insert.execute(pool).await.unwrap();
    let sql = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, due_at, created_at) VALUES (?, ?, 'x', ?, ?)";
    let insert = sqlx::query(sql)
        .bind(webhook)
        .bind(event)
        .bind(now)
        .bind(now);
    insert.execute(pool).await.unwrap();
    analyze(pool, "webhooks, webhook_deliveries").await;
}

async fn check_final_messages(plans: &mut Plans<'_>, values: &Values) {
    let Values { id, event, .. } = values;
    plans
        .check(
            "mark final messages as published",
            &["UPDATE recipients SET final_event = ?"],
            &["recipients PRIMARY"],
            &[event, id, &1, &20, &2, &"send-until", &1000],
        )
        .await;
    plans
        .check(
            "the range of an event",
            &["MIN(seq)", "final_event = ?"],
            &["recipients PRIMARY"],
            &[id, &1, &20, event],
        )
        .await;
    plans
        .check(
            "the messages of an event",
            &["r.final_event = ? ORDER BY r.seq"],
            &["r PRIMARY", "n PRIMARY"],
            &[id, &1, &20, event],
        )
        .await;
}

async fn check_delivery(plans: &mut Plans<'_>, values: &Values) {
    let Values {
        webhook,
        event,
        now,
        ..
    } = values;
    let before = *now - TimeDelta::seconds(1);
    // Its two rows are sorted.
    plans
        .check_sorting(
            "the next delivery",
            &["FROM webhook_deliveries", "UNION ALL", "ORDER BY place"],
            &[
                "webhook_deliveries PRIMARY",
                "webhook_deliveries next_of_webhook",
            ],
            &[webhook, event, now, webhook, &before],
        )
        .await;
    plans
        .check(
            "claim a delivery",
            &["SET due_at = ?, tries = tries + 1"],
            &["webhook_deliveries PRIMARY"],
            &[now, now, webhook, event, now],
        )
        .await;
    let read = [
        "FROM webhook_deliveries d JOIN webhooks w",
        "d.event_id = ?",
        "d.tries",
    ];
    plans
        .check(
            "read a delivery",
            &read,
            &["d PRIMARY", "w PRIMARY"],
            &[now, webhook, event],
        )
        .await;
}

async fn check_places(plans: &mut Plans<'_>, values: &Values) {
    let Values { webhook, now, .. } = values;
    for (what, fragment) in [
        ("a returned place", "LEAST(suspended_until, ?)"),
        ("an accepted post", "failures = 0, accepted_at = ?"),
    ] {
        plans
            .check(
                what,
                &["UPDATE webhooks", fragment],
                &["webhooks PRIMARY"],
                &[&1, &2, now, webhook],
            )
            .await;
    }
}

async fn check_sweep(plans: &mut Plans<'_>, values: &Values) {
    let Values {
        webhook,
        event,
        now,
        ..
    } = values;
    let before = *now - TimeDelta::seconds(1);
    // The second part reads all webhooks: twenty, those of the keys that may have some, and callbacks.
    plans
        .check(
            "due deliveries",
            &["d.due_at <= ?", "HAVING next IS NOT NULL"],
            &["d due", "w PRIMARY", "d next_of_webhook"],
            &[&before, &1000, &before, &before],
        )
        .await;
    let ids = serde_json::json!([[webhook.simple().to_string(), event.simple().to_string()]]);
    plans
        .check(
            "make deliveries due",
            &["SET d.due_at = LEAST(d.due_at, ?)"],
            &["d PRIMARY"],
            &[&ids.to_string(), now],
        )
        .await;
    plans
        .check(
            "delete old deliveries",
            &["DELETE FROM webhook_deliveries WHERE created_at < ?"],
            &["webhook_deliveries by_age"],
            &[&(*now - TimeDelta::days(80)), &10],
        )
        .await;
}
