//! The database of one run.

use anyhow::Context;
use shared::platform::db::MIGRATOR;
use sqlx::{
    Connection, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode},
};

use super::erasures;
use crate::history;

/// A database that one run creates and drops.
pub struct Database {
    admin: MySqlConnectOptions,
    name: String,
}

impl Database {
    /// Creates it on the server of `admin_url`.
    pub async fn create(admin_url: &str, name: String) -> anyhow::Result<Self> {
        // Encryption to a server on the same machine only takes time.
        let admin = admin_url
            .parse::<MySqlConnectOptions>()
            .context("the database's URL")?
            .ssl_mode(MySqlSslMode::Disabled);
        let mut connection = MySqlConnection::connect_with(&admin)
            .await
            .context("connecting as an administrator")?;
        sqlx::raw_sql(&format!("CREATE DATABASE {name}"))
            .execute(&mut connection)
            .await?;
        connection.close().await.ok();
        Ok(Self { admin, name })
    }

    /// Drops it.
    pub async fn discard(&self) -> anyhow::Result<()> {
        let mut connection = MySqlConnection::connect_with(&self.admin).await?;
        sqlx::raw_sql(&format!("DROP DATABASE {}", self.name))
            .execute(&mut connection)
            .await?;
        Ok(())
    }

    /// Migrates it and starts the recording of changes. Returns how to connect to it, and an
    /// administrator's pool.
    pub async fn open(&self) -> anyhow::Result<(MySqlConnectOptions, MySqlPool)> {
        let options = self.admin.clone().database(&self.name);
        let pool = MySqlPoolOptions::new()
            .max_connections(2)
            .connect_with(options.clone())
            .await?;
        MIGRATOR.run(&pool).await.context("migrating")?;
        history::record_changes(&pool)
            .await
            .context("recording the changes of rows")?;
        erasures::record(&pool)
            .await
            .context("recording what is erased")?;
        Ok((options, pool))
    }
}
