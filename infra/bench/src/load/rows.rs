//! Rows written without the functions: a table of results, filled and updated by multi-row
//! statements. It has the columns that a sender needs at least.

use std::time::Instant;

use anyhow::Context;
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};

use super::Rate;

/// Rows of an INSERT of the import, as many as in the function api.
const ROWS_PER_INSERT: u64 = 10_000;

const TABLE: &str = "CREATE TABLE bench_results (
    list INT UNSIGNED NOT NULL,
    seq INT UNSIGNED NOT NULL,
    phone VARCHAR(16) CHARACTER SET ascii NOT NULL,
    status VARCHAR(10) CHARACTER SET ascii NOT NULL DEFAULT 'PENDING',
    message_id VARCHAR(64) CHARACTER SET ascii NULL,
    sent_at DATETIME(3) NULL,
    PRIMARY KEY (list, seq),
    UNIQUE KEY phone_once (phone, list)
) ENGINE = InnoDB";

/// The table in a database of its own.
#[derive(Clone)]
pub struct Results {
    pool: MySqlPool,
}

impl Results {
    /// Creates the table.
    pub async fn create(database: &str, connections: u32) -> anyhow::Result<Self> {
        let pool = MySqlPoolOptions::new().max_connections(connections);
        // As in the functions of a fast service: no test of a connection that was just used.
        let pool = pool.test_before_acquire(false).connect(database).await;
        let pool = pool.context("connecting to the database")?;
        sqlx::query(TABLE).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Inserts rows for the numbers from index `first`. Returns the rate.
    pub async fn fill(&self, first: u64, rows: u64) -> anyhow::Result<Rate> {
        let begun = Instant::now();
        for at in (0..rows).step_by(ROWS_PER_INSERT as usize) {
            let end = (at + ROWS_PER_INSERT).min(rows);
            let values = (at..end)
                .map(|seq| format!("(1,{seq},'{}')", demo::numbers::number(first + seq)))
                .collect::<Vec<_>>()
                .join(",");
            let sql = format!("INSERT INTO bench_results (list, seq, phone) VALUES {values}");
            sqlx::raw_sql(&sql).execute(&self.pool).await?;
        }
        Ok(Rate {
            messages: rows,
            took: begun.elapsed(),
        })
    }

    /// Records the ids of consecutive rows with one statement.
    pub async fn record(&self, first_seq: u64, ids: &[String]) -> anyhow::Result<()> {
        let values = ids
            .iter()
            .zip(first_seq..)
            .map(|(id, seq)| format!("(1,{seq},'','ACCEPTD','{id}',UTC_TIMESTAMP(3))"))
            .collect::<Vec<_>>()
            .join(",");
        let sql = format!(
            "INSERT INTO bench_results (list, seq, phone, status, message_id, sent_at) VALUES {values}
             ON DUPLICATE KEY UPDATE status = VALUES(status), message_id = VALUES(message_id),
               sent_at = VALUES(sent_at)"
        );
        sqlx::raw_sql(&sql).execute(&self.pool).await?;
        Ok(())
    }

    /// Records the id of one row.
    pub async fn record_one(&self, seq: u64, id: &str) -> anyhow::Result<()> {
        sqlx::query(
            "UPDATE bench_results SET status = 'ACCEPTD', message_id = ?, sent_at = UTC_TIMESTAMP(3)
             WHERE list = 1 AND seq = ?",
        )
        .bind(id)
        .bind(seq)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns the number of recorded rows.
    pub async fn recorded(&self) -> anyhow::Result<i64> {
        let sql = "SELECT COUNT(*) FROM bench_results WHERE status = 'ACCEPTD'";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    /// Closes the connections.
    pub async fn close(self) {
        self.pool.close().await;
    }
}
