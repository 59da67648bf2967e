//! The database server: databases of scenarios, and the server's own counters.

use std::collections::HashMap;

use anyhow::Context;
use sqlx::{Executor, MySqlPool, mysql::MySqlPoolOptions};

use crate::process::Usage;

/// The server. Its user may create databases.
pub struct Server {
    pool: MySqlPool,
    /// `mysql://user@host:port/`
    url: String,
    pid: Option<u32>,
    /// Product and version.
    pub version: String,
}

/// The storage engine's counter of transactions that changed rows.
const COMMITS: &str = "trx_rw_commits";

/// The values of `SHOW GLOBAL STATUS` and [`COMMITS`], or their difference.
#[derive(Clone, Debug, Default)]
pub struct Counters(HashMap<String, u64>);

impl Server {
    /// Connects to the server of a URL. Its CPU time is known only with `pid`, of a server on this
    /// machine.
    pub async fn connect(url: &str, pid: Option<u32>) -> anyhow::Result<Self> {
        let (address, _) = url
            .rsplit_once('/')
            .context("DATABASE_URL has no database")?;
        let pool = MySqlPoolOptions::new().max_connections(2).connect(url);
        let pool = pool.await.context("connecting to the database")?;
        let version = sqlx::query_scalar("SELECT VERSION()").fetch_one(&pool);
        let version = version.await?;
        let count = format!("SET GLOBAL innodb_monitor_enable = '{COMMITS}'");
        pool.execute(count.as_str())
            .await
            .context("counting commits")?;
        Ok(Self {
            pool,
            url: format!("{address}/"),
            pid,
            version,
        })
    }

    /// Creates an empty database for a scenario, in place of an earlier one. Returns its URL.
    pub async fn create(&self, name: &str) -> anyhow::Result<String> {
        self.drop_database(name).await?;
        let options = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci";
        self.execute(&format!("CREATE DATABASE `{name}` {options}"))
            .await?;
        Ok(format!("{}{name}", self.url))
    }

    /// Drops the database of a scenario.
    pub async fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.execute(&format!("DROP DATABASE IF EXISTS `{name}`"))
            .await
    }

    async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        self.pool.execute(sql).await.context("SQL")?;
        Ok(())
    }

    /// Reads the counters.
    pub async fn counters(&self) -> anyhow::Result<Counters> {
        let rows: Vec<(String, String)> = sqlx::query_as("SHOW GLOBAL STATUS")
            .fetch_all(&self.pool)
            .await?;
        let numbers = rows
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_lowercase(), value.parse().ok()?)));
        let mut numbers: HashMap<String, u64> = numbers.collect();
        let commits = "SELECT `COUNT` FROM information_schema.INNODB_METRICS WHERE NAME = ?";
        let commits: i64 = sqlx::query_scalar(commits)
            .bind(COMMITS)
            .fetch_one(&self.pool)
            .await?;
        numbers.insert(COMMITS.to_owned(), commits.unsigned_abs());
        Ok(Counters(numbers))
    }

    /// Returns the CPU time and the memory of the server.
    pub fn usage(&self) -> Option<Usage> {
        self.pid.and_then(Usage::of)
    }
}

impl Counters {
    /// Returns what was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let difference = |(name, value): (&String, &u64)| {
            let before = earlier.0.get(name).copied().unwrap_or_default();
            (name.clone(), value.saturating_sub(before))
        };
        Self(self.0.iter().map(difference).collect())
    }

    fn sum(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.0.get(*name)).sum()
    }

    /// Returns the executed statements that read or change rows.
    pub fn statements(&self) -> u64 {
        self.sum(&[
            "com_select",
            "com_insert",
            "com_insert_select",
            "com_update",
            "com_update_multi",
            "com_delete",
            "com_delete_multi",
            "com_replace",
        ])
    }

    /// Returns the commits of transactions that changed rows, also of one statement.
    pub fn commits(&self) -> u64 {
        self.sum(&[COMMITS])
    }

    /// Returns the pings. Both servers count them with other administrative commands, which the
    /// functions do not use.
    pub fn pings(&self) -> u64 {
        self.sum(&["com_admin_commands"])
    }

    /// Returns the bytes of redo log: the difference of the log sequence number.
    pub fn redo_bytes(&self) -> u64 {
        // The first is MariaDB's name, the second MySQL's.
        self.sum(&["innodb_lsn_current", "innodb_redo_log_current_lsn"])
    }

    /// Returns the rows that the storage engine returned.
    pub fn rows_read(&self) -> u64 {
        self.sum(&[
            "handler_read_first",
            "handler_read_key",
            "handler_read_last",
            "handler_read_next",
            "handler_read_prev",
            "handler_read_rnd",
            "handler_read_rnd_next",
        ])
    }

    /// Returns the statements whose first table was scanned completely. `JSON_TABLE` is such a table:
    /// `shared/tests/explain` checks that no other one is.
    pub fn scans(&self) -> u64 {
        self.sum(&["select_scan"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_differences() {
        let counters = |commits, updates| {
            let pairs = [(COMMITS, commits), ("com_update_multi", updates)];
            Counters(pairs.map(|(name, n)| (name.to_owned(), n)).into())
        };
        let since = counters(9, 5).since(&counters(2, 5));
        assert_eq!(
            (since.commits(), since.statements(), since.pings()),
            (7, 0, 0)
        );
    }
}
