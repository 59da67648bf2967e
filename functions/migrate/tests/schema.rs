//! The schema is migrated, also by a build that is older than it.
#![allow(missing_docs, clippy::unwrap_used)]

use migrate::schema::migrate;
use shared::platform::db::schema::NEEDED_VERSION;
use sqlx::MySqlPool;

async fn insert_migration(pool: &MySqlPool, version: i64) {
    let statement =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (?, 'unknown', TRUE, 'x', 1)";
    sqlx::query(statement)
        .bind(version)
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test(migrations = false)]
async fn an_empty_database_gets_the_newest_schema_once(pool: MySqlPool) {
    let mut connection = pool.acquire().await.unwrap();
    for _ in 0..2 {
        let versions = migrate(&mut connection).await.unwrap();
        assert_eq!(versions.last(), Some(&NEEDED_VERSION));
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_older_build_leaves_a_newer_schema_as_it_is(pool: MySqlPool) {
    insert_migration(&pool, NEEDED_VERSION + 2).await;
    let mut connection = pool.acquire().await.unwrap();
    let versions = migrate(&mut connection).await.unwrap();
    assert_eq!(versions.last(), Some(&(NEEDED_VERSION + 2)));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_migration_of_another_branch_is_refused(pool: MySqlPool) {
    insert_migration(&pool, 0).await;
    let mut connection = pool.acquire().await.unwrap();
    let error = migrate(&mut connection).await.unwrap_err().to_string();
    assert!(
        error.contains("migration 0") && error.contains("another branch"),
        "{error}"
    );
}
