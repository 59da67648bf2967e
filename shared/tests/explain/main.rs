//! The plan of every hot statement, on tables of 40,000 recipients and 2,000 batches, analysed: the key it uses, and no filesort.
//! The statements are read from `.sqlx`, so what is explained is what is run.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod hot;
mod lists;
mod people;
mod receipts;
mod trouble;
mod webhook_calls;
mod webhooks;

use std::{fs, path::Path};

use chrono::{TimeDelta, Utc};
use sqlx::{Column, MySqlPool, Row, mysql::MySqlArguments, query::Query};
use uuid::Uuid;

/// A line for each table: `table key extra`.
type Plan = Vec<(String, String, String)>;
type Bound<'q> = Query<'q, sqlx::MySql, MySqlArguments>;

/// Twenty schedules of 2,000 recipients in 100 batches each: half of the batches done, half waiting, a few due.
async fn fill(pool: &MySqlPool) -> Vec<Uuid> {
    let now = Utc::now();
    let schedules: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let seqs = serde_json::to_string(&(1..=2000).collect::<Vec<u32>>()).unwrap();
    for (n, id) in schedules.iter().enumerate() {
        let status = ["running", "cancelled", "finished", "running"][n % 4];
        let finished_at = (status == "finished").then_some(now);
        let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s,
            on_uncertain, next_seq, recipient_count, batch_count, dispatched_by, dispatched_at, finished_at, created_at)
            VALUES (?, ?, 'x', 1, ?, '+00:00', 3600, 2, 21600, 'hold', 2001, 2000, 100, 'queue', ?, ?, ?)";
        sqlx::query(sql)
            .bind(id)
            .bind(status)
            .bind(now)
            .bind(now)
            .bind(finished_at)
            .bind(now)
            .execute(pool)
            .await
            .unwrap();
        let sql = "INSERT INTO recipients (schedule_id, seq, phone, status, attempt, sent_at, message_id)
            SELECT ?, j.n, CONCAT('+6012', 1000000 + j.n), IF(j.n % 2, 'ACCEPTD', 'SENDING'), 1, ?, 'm'
            FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j";
        sqlx::query(sql)
            .bind(id)
            .bind(now)
            .bind(&seqs)
            .execute(pool)
            .await
            .unwrap();
        let sql = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, check_at, sweep_at)
            SELECT ?, j.n, j.n * 20 - 19, j.n * 20, ?, IF(j.n % 2, ?, NULL), IF(j.n % 2, ? + INTERVAL j.n MINUTE, NULL)
            FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j WHERE j.n <= 100";
        let batches = sqlx::query(sql)
            .bind(id)
            .bind(now)
            .bind(now)
            .bind(now - TimeDelta::minutes(2))
            .bind(&seqs);
        batches.execute(pool).await.unwrap();
    }
    for n in 0..200 {
        let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s,
            on_uncertain, created_at) VALUES (?, 'scheduled', 'x', 1, ?, '+00:00', 3600, 2, 21600, 'hold', ?)";
        let run_at = now + TimeDelta::minutes(n);
        sqlx::query(sql)
            .bind(Uuid::now_v7())
            .bind(run_at)
            .bind(now)
            .execute(pool)
            .await
            .unwrap();
    }
    sqlx::raw_sql("ANALYZE TABLE schedules, recipients, batches, attempts")
        .execute(pool)
        .await
        .unwrap();
    schedules
}

/// The one statement in `.sqlx` that contains all of `words`.
fn statement(words: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sqlx");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let queries = files.map(|json| {
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["query"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    let found: Vec<String> = queries
        .filter(|query| words.iter().all(|word| query.contains(word)))
        .collect();
    assert_eq!(found.len(), 1, "{words:?} names one statement: {found:#?}");
    found[0].clone()
}

/// Explains a statement.
async fn explain(
    pool: &MySqlPool,
    sql: &str,
    bind: impl for<'q> FnOnce(Bound<'q>) -> Bound<'q>,
) -> Plan {
    // MySQL 9 answers with a tree unless told otherwise.
    let explain = format!("EXPLAIN FORMAT=TRADITIONAL {sql}");
    let rows = bind(sqlx::query(&explain)).fetch_all(pool).await.unwrap();
    // By place: MySQL tells the columns of an EXPLAIN too late for sqlx's look-up by name.
    let text = |row: &sqlx::mysql::MySqlRow, name: &str| {
        let place = row
            .columns()
            .iter()
            .position(|column| column.name() == name)
            .unwrap();
        row.try_get::<Option<String>, _>(place)
            .unwrap()
            .unwrap_or_default()
    };
    rows.iter()
        .map(|row| (text(row, "table"), text(row, "key"), text(row, "Extra")))
        .collect()
}

/// What is wrong with a plan: another key than it should use, a table scanned, rows sorted.
fn complaints(what: &str, plan: &Plan, keys: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (table, key) in keys {
        if !plan
            .iter()
            .any(|(explained, used, _)| explained == table && used == key)
        {
            wrong.push(format!("{what}: {table} should use {key}: {plan:?}"));
        }
    }
    // A derived table of batches or answers may be scanned; no table of ours may, and nothing may be sorted.
    let sorted = plan.iter().any(|(_, _, extra)| extra.contains("filesort"));
    let ours = [
        "schedules",
        "recipients",
        "batches",
        "sessions",
        "users",
        "api_keys",
        "callers",
        "suppressions",
        "webhooks",
        "webhook_deliveries",
        "a",
        "x",
        "s",
        "r",
        "b",
        "u",
        "k",
        "c",
        "d",
    ];
    let scanned = plan
        .iter()
        .any(|(table, key, _)| ours.contains(&table.as_str()) && key.is_empty());
    if sorted || scanned {
        wrong.push(format!(
            "{what}: sorted {sorted}, scanned {scanned}: {plan:?}"
        ));
    }
    wrong
}
