//! The schema that the statements of this build need.
//!
//! A deployment migrates first. Old code then runs on the new schema for some time, which each
//! migration has to allow; new code never runs on an old one, which [`check`] refuses.

use anyhow::{Context, ensure};
use sqlx::{MySqlExecutor, MySqlPool};

/// The newest migration that this build needs: the last one of the folder `migrations`.
pub const NEEDED_VERSION: i64 = 87;

/// Returns the newest migration that the database has; `None`: it has no schema yet.
///
/// This statement also works for a database without tables, so it is not checked at compile time.
pub async fn applied_version(pool: &MySqlPool) -> sqlx::Result<Option<i64>> {
    if !has_migrations(pool).await? {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(pool)
        .await
}

async fn has_migrations(executor: impl MySqlExecutor<'_>) -> sqlx::Result<bool> {
    let tables: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '_sqlx_migrations'",
    )
    .fetch_one(executor)
    .await?;
    Ok(tables > 0)
}

/// Fails if the database has an older schema than this build needs, before any work is accepted.
pub async fn check(pool: &MySqlPool) -> anyhow::Result<()> {
    let applied = applied_version(pool)
        .await
        .context("reading the version of the schema")?;
    ensure!(
        applied.is_some_and(|applied| applied >= NEEDED_VERSION),
        "the database has schema version {}, and this build needs {NEEDED_VERSION}: invoke migrate of \
         this build first",
        applied.unwrap_or_default()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::db::MIGRATOR;

    #[test]
    fn the_needed_version_is_that_of_the_newest_migration() {
        let newest = MIGRATOR.iter().map(|migration| migration.version).max();
        assert_eq!(newest, Some(NEEDED_VERSION));
    }
}
