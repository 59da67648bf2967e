//! Brings the database to the newest schema of this build.

use std::borrow::Cow;

use anyhow::{Context, bail};
use shared::platform::db::{MIGRATOR, schema::NEEDED_VERSION};
use sqlx::{
    MySqlConnection,
    migrate::{Migrate, Migrator},
};

/// Applies the migrations that the database does not have yet, and returns all that it has.
///
/// A database that a later build has migrated is left as it is, so that an older build can be
/// deployed again. An unknown migration that is not newer than all of this build's comes from
/// another branch, and is refused.
pub async fn migrate(connection: &mut MySqlConnection) -> anyhow::Result<Vec<i64>> {
    connection.ensure_migrations_table().await?;
    let applied = connection.list_applied_migrations().await?;
    let is_known = |version: i64| MIGRATOR.iter().any(|known| known.version == version);
    for version in applied.iter().map(|migration| migration.version) {
        if version < NEEDED_VERSION && !is_known(version) {
            bail!(
                "the database has migration {version}, which this build does not know although its \
                 newest is {NEEDED_VERSION}: it was made by another branch"
            );
        }
    }
    let migrator = Migrator {
        migrations: Cow::Borrowed(&MIGRATOR.migrations),
        ignore_missing: true,
        ..Migrator::DEFAULT
    };
    migrator.run(&mut *connection).await.context("migrating")?;
    let mut versions: Vec<i64> = connection
        .list_applied_migrations()
        .await
        .context("reading the applied migrations")?
        .iter()
        .map(|migration| migration.version)
        .collect();
    versions.sort_unstable();
    Ok(versions)
}
