//! Searches the whole database for a text, to show that nothing of it is left.

use sqlx::MySqlPool;

/// Returns each column that contains the text in any row, as `table.column`.
pub async fn columns_with(pool: &MySqlPool, text: &str) -> Vec<String> {
    let sql = "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR) FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name <> '_sqlx_migrations'
          AND data_type IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'binary', 'varbinary', 'blob', 'mediumblob', 'longblob')";
    let columns: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
    assert!(columns.len() > 60, "the tables exist: {}", columns.len());
    let mut found = Vec::new();
    for (table, column) in columns {
        let sql = format!(
            "SELECT COUNT(*) FROM `{table}` WHERE INSTR(CAST(`{column}` AS BINARY), CAST(? AS BINARY)) > 0"
        );
        let rows: i64 = sqlx::query_scalar(&sql)
            .bind(text)
            .fetch_one(pool)
            .await
            .unwrap();
        if rows > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}
