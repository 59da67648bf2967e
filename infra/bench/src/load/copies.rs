//! Old rows: copies of a schedule after its end, under other ids.

use std::time::{Duration, Instant};

use sqlx::{Connection, MySqlConnection, MySqlPool};
use uuid::Uuid;

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

/// Waits until the server has written the pages of the copied rows: on a database that has grown
/// over months, nothing of them is left to write either.
pub async fn settle(pool: &MySqlPool) -> anyhow::Result<()> {
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
pub async fn copy(connection: &mut MySqlConnection, id: Uuid) -> anyhow::Result<()> {
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
