//! The statements of prices, costs and budgets.

use chrono::Utc;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::Plans,
    tables::{analyze, execute, insert_schedules},
};

/// A list of 2,000 prices, a cost for each batch, and 500 budgets, each with 40 periods.
async fn insert_money(pool: &MySqlPool) {
    for sql in [
        "INSERT INTO price_lists (id, currency, price_count, created_at, created_by) VALUES (UNHEX(REPEAT('01', 16)), 'EUR', 2000, NOW(3), 'test')",
        "INSERT INTO schedule_costs (schedule_id, prices_version) SELECT id, 1 FROM schedules",
        "INSERT INTO batch_costs (schedule_id, batch_no, parts, micros, unpriced_parts) SELECT schedule_id, batch_no, 1, 1, 0 FROM batches",
        "INSERT INTO budgets (id, scope, period, unit, amount, created_at, updated_at)
           SELECT UNHEX(LPAD(HEX(batch_no), 32, '0')), CONCAT('key:', batch_no), 'day', 'parts', 5, NOW(3), NOW(3) FROM batches WHERE batch_no <= 500
           GROUP BY batch_no",
        "INSERT INTO spending (budget_id, period_start, used)
           SELECT b.id, DATE('2026-01-01') + INTERVAL n.batch_no DAY, 1 FROM budgets b JOIN (SELECT DISTINCT batch_no FROM batches WHERE batch_no <= 40) n",
    ] {
        execute(pool, sql).await;
    }
    analyze(
        pool,
        "schedules, batches, price_lists, schedule_costs, batch_costs, budgets, spending",
    )
    .await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_about_money_uses_its_key(pool: MySqlPool) {
    let ids = insert_schedules(&pool).await;
    insert_money(&pool).await;
    let mut plans = Plans::new(&pool);
    let (id, now) = (ids[2], Utc::now());
    let day = now.date_naive().to_string();
    let budget = Uuid::from_u128(7);
    plans
        .check(
            "the prices of a schedule",
            &["p.version = c.prices_version WHERE c.schedule_id = ?"],
            &["c PRIMARY", "p PRIMARY"],
            &[&id],
        )
        .await;
    plans
        .check(
            "what a schedule has cost",
            &["FROM batch_costs WHERE schedule_id = ?"],
            &["batch_costs PRIMARY"],
            &[&id],
        )
        .await;
    plans
        .check(
            "the budgets of a schedule",
            &["budgets b FORCE INDEX (once)"],
            &["b once", "s PRIMARY"],
            &[&r#"["system", "key:7"]"#, &day, &day],
        )
        .await;
    plans
        .check(
            "a reservation",
            &["used + ? <= (SELECT b.amount FROM budgets b WHERE b.id = ?)"],
            &["spending PRIMARY", "b PRIMARY"],
            &[&1, &budget, &day, &1, &budget],
        )
        .await;
    plans
        .check(
            "what is given back",
            &["SET used = LAST_INSERT_ID(GREATEST(used, ?) - ?)"],
            &["spending PRIMARY"],
            &[&1, &1, &budget, &day],
        )
        .await;
    plans
        .check(
            "the webhooks of a budget",
            &["WHERE (owner = ? OR owner IS NULL) AND callback_hash IS NULL AND labels IS NULL"],
            &["webhooks by_owner"],
            &[&"key:7", &now, &"budget.warning"],
        )
        .await;
    plans.assert_none_wrong();
}
