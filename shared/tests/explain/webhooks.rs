//! The statements of the API about webhooks and their deliveries.

use chrono::Utc;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::{Null, Plans},
    tables::{NUMBERS, analyze, execute},
};

/// The webhook that has deliveries.
const KNOWN: Uuid = Uuid::from_u128(7);

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_about_webhooks_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    insert_webhooks(&pool).await;
    let mut plans = Plans::new(&pool);
    check_webhooks(&mut plans).await;
    check_deliveries(&mut plans).await;
    check_repeats(&mut plans).await;
    plans.assert_none_wrong();
}

/// Twenty webhooks, one of them with 18,000 deliveries of which every tenth has failed.
async fn insert_webhooks(pool: &MySqlPool) {
    let webhooks = format!(
        "INSERT INTO webhooks (id, url, events, key_id, created_at, created_by)
         {NUMBERS} UNHEX(LPAD(HEX(n), 32, '0')), '', 'messages.final', '', NOW(), '' FROM n LIMIT 20"
    );
    execute(pool, &webhooks).await;
    let deliveries = format!(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, type, status, due_at, created_at)
         {NUMBERS} UNHEX('{}'), UNHEX(LPAD(HEX(n.n * 20 + k.n), 32, '0')), 'messages.final', IF(n.n % 10, 'pending', 'failed'),
           IF(n.n % 10, NOW(), NULL), NOW() FROM n JOIN (SELECT n FROM n LIMIT 20) k",
        KNOWN.simple()
    );
    execute(pool, &deliveries).await;
    analyze(pool, "webhooks, webhook_deliveries").await;
}

async fn check_webhooks(plans: &mut Plans<'_>) {
    let primary = ["webhooks PRIMARY"];
    plans
        .check(
            "a page of webhooks",
            &["FROM webhooks WHERE id > ?"],
            &primary,
            &[&Uuid::nil(), &50],
        )
        .await;
    plans
        .check(
            "a webhook",
            &["FROM webhooks WHERE id = ? FOR UPDATE"],
            &primary,
            &[&KNOWN],
        )
        .await;
    plans
        .check(
            "a rotation of the secret",
            &["UPDATE webhooks", "secret_no = secret_no + 1"],
            &primary,
            &[&"", &Utc::now(), &KNOWN, &1],
        )
        .await;
    plans
        .check(
            "a change",
            &["UPDATE webhooks", "description = ?"],
            &primary,
            &[
                &"", &"", &Null, &Null, &Null, &Null, &Null, &0, &Null, &Null, &Null, &Null, &KNOWN,
            ],
        )
        .await;
    plans
        .check(
            "the end of a suspension",
            &["UPDATE webhooks", "suspended_until > ?"],
            &primary,
            &[&Utc::now(), &KNOWN, &Utc::now()],
        )
        .await;
}

async fn check_deliveries(plans: &mut Plans<'_>) {
    let primary = ["webhook_deliveries PRIMARY"];
    for (what, status) in [
        ("a page of deliveries", None),
        ("a page of failed deliveries", Some("failed")),
    ] {
        plans
            .check(
                what,
                &["FROM webhook_deliveries", "ORDER BY event_id DESC"],
                &primary,
                &[&KNOWN, &Uuid::max(), &status, &status, &Null, &Null, &50],
            )
            .await;
    }
    let read = [
        "http_status, error",
        "FROM webhook_deliveries WHERE webhook_id = ? AND event_id = ?",
    ];
    plans
        .check(
            "a delivery",
            &read,
            &primary,
            &[&KNOWN, &Uuid::from_u128(21)],
        )
        .await;
    let delete = [
        "DELETE FROM webhook_deliveries WHERE webhook_id = ?",
        "LIMIT",
    ];
    plans
        .check(
            "delete the deliveries of a webhook",
            &delete,
            &primary,
            &[&KNOWN, &1000],
        )
        .await;
}

async fn check_repeats(plans: &mut Plans<'_>) {
    let (primary, now) = (["webhook_deliveries PRIMARY"], Utc::now());
    let (first, last) = (Uuid::from_u128(21), Uuid::from_u128(400));
    plans
        .check(
            "repeat a delivery",
            &["tries = 0, due_at = ? WHERE webhook_id = ? AND event_id = ?"],
            &primary,
            &[&now, &KNOWN, &first],
        )
        .await;
    plans
        .check(
            "failed deliveries",
            &["event_id >= ? AND status = 'failed'"],
            &primary,
            &[&KNOWN, &Uuid::nil(), &200],
        )
        .await;
    plans
        .check(
            "repeat failed deliveries",
            &["event_id BETWEEN ? AND ? AND status = 'failed'"],
            &primary,
            &[&now, &KNOWN, &first, &last],
        )
        .await;
}
