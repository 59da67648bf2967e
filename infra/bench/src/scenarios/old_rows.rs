//! A list on a database with many old rows, against the same list on an empty one. The old rows are
//! copies of the first list after its end, under other schedules.

use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::json;
use sqlx::{Connection, MySqlConnection, MySqlPool};
use uuid::Uuid;

use crate::{
    bench::Bench,
    figure::Figure,
    load::Rate,
    stage::{Play, Stage},
};

/// The length of a list, and the rows of a copy.
const LIST: u64 = 100_000;
const OLD_ROWS: u64 = 50_000_000;
/// How long the server may take to write what the copies have changed.
const SETTLE: Duration = Duration::from_secs(900);
/// Pages that a server without work may have to write.
const FEW_PAGES: u64 = 500;
/// The tables of a schedule that is over, and the column with its id.
const TABLES: [(&str, &str); 3] = [
    ("schedules", "id"),
    ("batches", "schedule_id"),
    ("recipients", "schedule_id"),
];

/// Runs a list, copies it, and runs another list.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let old_rows = bench.options.messages(OLD_ROWS);
    let list = LIST.min(old_rows);
    let play = Play {
        name: "old-rows",
        settings: &[("RECHECK_DELAYS_S", "1")],
        carrier: json!({}),
    };
    let mut stage = Stage::start(bench, play).await?;
    stage.driver.map("recheck").await?;
    let (id, before) = send(bench, &mut stage, list).await?;
    stage.expect("DELIVRD", list).await?;
    for _ in 0..old_rows / list {
        let mut connection = stage.pool.acquire().await?;
        copy(&mut connection, id).await?;
    }
    settle(&stage.pool).await?;
    stage.carrier.reset().await?;
    let (_, after) = send(bench, &mut stage, list).await?;
    stage.expect_accepted(list).await?;
    stage.stop(bench).await?;
    let name = format!("messages sent and rechecked, with {old_rows} old rows");
    let figure = Figure::new(name, after.per_second(), "messages/s");
    let figure = figure.against("without old rows", before.per_second());
    Ok(vec![figure.goal("≥ 0.91")])
}

/// Sends a list and waits until its schedule is finished.
async fn send(bench: &Bench, stage: &mut Stage, messages: u64) -> anyhow::Result<(Uuid, Rate)> {
    let id = stage.import(bench, messages).await?.schedule.id;
    let run_at = Stage::soon_after_cut(messages);
    stage.move_to(id, run_at).await?;
    tokio::time::sleep((run_at - Utc::now()).to_std().unwrap_or_default()).await;
    stage.wait_finished().await?;
    let took = stage.since(run_at, "recheck")?;
    Ok((id, Rate { messages, took }))
}

/// Waits until the server has written the pages of the copied rows: on a database that has grown
/// over months, nothing of them is left to write either.
async fn settle(pool: &MySqlPool) -> anyhow::Result<()> {
    let variables = [
        ("innodb_io_capacity_max", 20_000.0),
        ("innodb_io_capacity", 20_000.0),
        ("innodb_max_dirty_pages_pct_lwm", 0.0),
        ("innodb_max_dirty_pages_pct", 0.0),
    ];
    let mut before = Vec::new();
    for (name, value) in variables {
        let now = format!("SELECT CAST(@@global.{name} AS DOUBLE)");
        before.push((
            name,
            sqlx::query_scalar::<_, f64>(&now).fetch_one(pool).await?,
        ));
        set_global(pool, name, value).await?;
    }
    let deadline = Instant::now() + SETTLE;
    while dirty_pages(pool).await? > FEW_PAGES {
        anyhow::ensure!(
            Instant::now() < deadline,
            "the server still writes pages after {SETTLE:?}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for (name, value) in before.into_iter().rev() {
        set_global(pool, name, value).await?;
    }
    Ok(())
}

async fn dirty_pages(pool: &MySqlPool) -> anyhow::Result<u64> {
    let sql = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'";
    let (_, pages): (String, String) = sqlx::query_as(sql).fetch_one(pool).await?;
    Ok(pages.parse()?)
}

async fn set_global(pool: &MySqlPool, name: &str, value: f64) -> anyhow::Result<()> {
    let sql = format!("SET GLOBAL {name} = {value}");
    sqlx::query(&sql).execute(pool).await?;
    Ok(())
}

/// Copies all rows of a schedule under a new id.
async fn copy(connection: &mut MySqlConnection, id: Uuid) -> anyhow::Result<()> {
    let copied = Uuid::now_v7();
    let mut transaction = connection.begin().await?;
    for (table, key) in TABLES {
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(column_name AS CHAR) FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name = ? AND column_name <> ? AND extra NOT LIKE '%GENERATED%'
             ORDER BY ordinal_position",
        )
        .bind(table)
        .bind(key)
        .fetch_all(&mut *transaction)
        .await?;
        let columns = columns.join("`, `");
        let sql = format!(
            "INSERT INTO {table} ({key}, `{columns}`)
             SELECT ?, `{columns}` FROM {table} WHERE {key} = ?"
        );
        sqlx::query(&sql)
            .bind(copied)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
