//! The statements that choose the webhooks of an event, by owner, label and callback.

use chrono::Utc;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::{Null, Plans},
    tables::{NUMBERS, analyze, execute, insert_schedules},
};

const OWNER: &str = "key:0";

/// Twenty webhooks without an owner; forty owners with twenty webhooks, of which half have labels,
/// and five callbacks.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_about_owners_of_webhooks_uses_its_key(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let webhooks = format!(
        "INSERT INTO webhooks (id, url, events, selected_events, owner, callback_hash, labels, key_id, created_at, created_by)
         {NUMBERS} UNHEX(LPAD(HEX(n), 32, '0')), '', '', 'messages.final', IF(n < 20, NULL, CONCAT('key:', n % 40)),
           IF(n < 820, NULL, UNHEX(LPAD(HEX(n), 64, '0'))), IF(n % 2, '[\"a\"]', NULL), '', NOW(), '' FROM n LIMIT 900"
    );
    for sql in [
        webhooks.as_str(),
        "INSERT INTO webhook_labels (webhook_id, label) SELECT id, 'all' FROM webhooks WHERE labels IS NOT NULL",
        "INSERT INTO webhook_labels (webhook_id, label) SELECT id, LEFT(HEX(id), 20) FROM webhooks WHERE labels IS NOT NULL",
        "INSERT INTO schedule_labels (label, schedule_id) SELECT 'all', id FROM schedules",
        "UPDATE batches SET claim_token = REPEAT('x', 16), claimed_until = NOW(), sweep_at = NOW() WHERE batch_no = 1",
        "UPDATE schedules SET created_by = 'key:0', callback_id = UNHEX(LPAD(HEX(880), 32, '0'))",
    ] {
        execute(&pool, sql).await;
    }
    analyze(
        &pool,
        "schedules, schedule_labels, webhooks, webhook_labels",
    )
    .await;
    let mut plans = Plans::new(&pool);
    check_event(&mut plans, id).await;
    check_owner(&mut plans).await;
    plans.assert_none_wrong();
}

async fn check_event(plans: &mut Plans<'_>, id: Uuid) {
    plans
        .check(
            "the webhooks of an event",
            &["candidates", "COALESCE(w.selected_events, w.events)"],
            &["o by_owner", "w PRIMARY", "wanted PRIMARY", "l PRIMARY"],
            &[&id, &id, &Utc::now(), &"messages.final", &id],
        )
        .await;
    let token = vec![b'x'; 16];
    plans
        .check(
            "a claimed batch",
            &["limit_known", "wants_final_events"],
            &["w by_owner", "w PRIMARY"],
            &[&"main", &"submit", &id, &1, &token],
        )
        .await;
    plans
        .check(
            "the callback of a schedule",
            &["UPDATE schedules SET callback_id = ?"],
            &["schedules PRIMARY"],
            &[&Null, &id],
        )
        .await;
}

async fn check_owner(plans: &mut Plans<'_>) {
    let by_owner = ["webhooks by_owner"];
    // At most a thousand rows are sorted.
    plans
        .check_sorting(
            "a page of the webhooks of an owner",
            &["WHERE owner = ? AND id > ?"],
            &by_owner,
            &[&OWNER, &Uuid::nil(), &50],
        )
        .await;
    for owner in [Some("key:0"), None] {
        plans
            .check(
                "the number of webhooks of an owner",
                &["owner <=> ? AND callback_hash IS NULL FOR UPDATE"],
                &by_owner,
                &[&owner],
            )
            .await;
    }
    // A row with this key exists, without which there would be no plan.
    let hash = [vec![0; 30], vec![0x03, 0x48]].concat();
    plans
        .check(
            "a callback",
            &["WHERE owner = ? AND callback_hash = ?"],
            &by_owner,
            &[&OWNER, &hash],
        )
        .await;
    plans
        .check(
            "the number of callbacks of an owner",
            &["WHERE owner = ? AND callback_hash IS NOT NULL"],
            &by_owner,
            &[&OWNER],
        )
        .await;
    plans
        .check(
            "the webhooks of a key that is revoked",
            &["WHERE owner = ? AND disabled_at IS NULL"],
            &by_owner,
            &[&Utc::now(), &"key-revoked", &OWNER],
        )
        .await;
}
