//! The statements that import prices.

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::money::prices::Price;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Prices per statement.
const CHUNK: usize = 10_000;

/// A list to insert.
#[derive(Clone, Debug)]
pub struct NewList {
    pub currency: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// Inserts a list, which is current from the commit on. Returns its version.
pub async fn insert_list(
    connection: &mut MySqlConnection,
    list: &NewList,
    prices: &[Price],
) -> sqlx::Result<u32> {
    let done = sqlx::query!(
        "INSERT INTO price_lists (id, currency, price_count, created_at, created_by) VALUES (?, ?, ?, ?, ?)",
        Uuid::new_v4(),
        list.currency,
        prices.len() as u32,
        list.created_at,
        list.created_by
    );
    let version = done.execute(&mut *connection).await?.last_insert_id() as u32;
    for chunk in prices.chunks(CHUNK) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|price| (&price.prefix, price.micros, &price.name))
            .collect();
        let done = sqlx::query!(
            "INSERT INTO prices (version, prefix, micros, name)
             SELECT ?, j.prefix, j.micros, j.name
             FROM JSON_TABLE(?, '$[*]' COLUMNS (prefix VARCHAR(15) PATH '$[0]', micros BIGINT UNSIGNED PATH '$[1]', name VARCHAR(64) PATH '$[2]')) j",
            version,
            json!(rows).to_string()
        );
        done.execute(&mut *connection).await?;
    }
    Ok(version)
}

/// When and by whom a list was imported.
#[derive(Clone, Debug)]
pub struct Import {
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// Reads when and by whom a list was imported.
pub async fn read_import(connection: &mut MySqlConnection, version: u32) -> sqlx::Result<Import> {
    sqlx::query_as!(
        Import,
        r#"SELECT created_at AS "created_at: DateTime<Utc>", created_by FROM price_lists WHERE version = ?"#,
        version
    )
    .fetch_one(connection)
    .await
}

/// Returns whether there are budgets of money.
pub async fn money_budgets_exist(connection: &mut MySqlConnection) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM budgets WHERE unit = 'money') AS "found!: bool""#
    );
    found.fetch_one(connection).await
}
