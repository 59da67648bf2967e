//! Another client of the database server that holds most of its connections.

use anyhow::Context;
use sqlx::{Connection, MySqlConnection, MySqlPool, Row, mysql::MySqlConnectOptions};

/// The share of the server's connections that are open afterwards.
const SHARE: f64 = 0.85;

/// The connections of the other client.
pub struct Crowd {
    connections: Vec<MySqlConnection>,
}

impl Crowd {
    /// Opens connections until most of those that the server accepts are open.
    pub async fn open(pool: &MySqlPool, options: &MySqlConnectOptions) -> anyhow::Result<Self> {
        let row = sqlx::raw_sql("SHOW GLOBAL STATUS LIKE 'Threads_connected'");
        let open: String = row.fetch_one(pool).await?.try_get(1)?;
        let most = sqlx::query_scalar("SELECT @@max_connections");
        let most: u64 = most.fetch_one(pool).await?;
        let wanted = (most as f64 * SHARE) as usize;
        let mut connections = Vec::new();
        for _ in open.parse::<usize>()?..wanted {
            let connection = MySqlConnection::connect_with(options).await;
            connections.push(connection.context("one more connection")?);
        }
        Ok(Self { connections })
    }

    /// Closes them.
    pub async fn close(self) {
        for connection in self.connections {
            // The server notices it if the connection is gone already.
            connection.close().await.ok();
        }
    }
}
