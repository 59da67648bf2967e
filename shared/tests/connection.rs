//! The connection of an environment: how often it is tested, and what happens when it breaks.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use shared::platform::{
    config::DatabaseSource,
    db::{
        Db, StatementLimit, is_statement_limit, schema::NEEDED_VERSION, transaction::transaction,
    },
    metrics::{Counter, collect},
};
use sqlx::{ConnectOptions, MySqlPool};

/// Connects as a function does, to the database of the test.
async fn connect(pool: &MySqlPool) -> Db {
    let url = pool.connect_options().to_url_lossy().to_string();
    let source = DatabaseSource::Url(url.into());
    Db::connect(&source, StatementLimit::Api).await.unwrap()
}

/// Returns how many pings the server has got on this connection.
async fn pings(db: &Db) -> i64 {
    let row: (String, String) = sqlx::query_as("SHOW SESSION STATUS LIKE 'Com_admin_commands'")
        .fetch_one(db)
        .await
        .unwrap();
    row.1.parse().unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_connection_in_use_is_not_tested(pool: MySqlPool) {
    let db = connect(&pool).await;
    let before = pings(&db).await;
    for _ in 0..3 {
        sqlx::query("SELECT 1").execute(&db).await.unwrap();
        let done = transaction(&db, |transaction| {
            Box::pin(async move {
                let one: i64 = sqlx::query_scalar("SELECT 1")
                    .fetch_one(&mut **transaction)
                    .await?;
                Ok(Some(one))
            })
        });
        assert_eq!(done.await.unwrap(), Some(1));
    }
    assert_eq!(pings(&db).await, before);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let after = pings(&db).await;
    assert_eq!(after, before + 1, "tested after idle seconds");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_connection_that_the_server_has_closed_is_replaced(pool: MySqlPool) {
    let db = connect(&pool).await;
    let id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()")
        .fetch_one(&db)
        .await
        .unwrap();
    sqlx::query(&format!("KILL {id}"))
        .execute(&pool)
        .await
        .unwrap();
    assert!(sqlx::query("SELECT 1").execute(&db).await.is_err());
    let next: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_ne!(next, id);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_transaction_that_is_dropped_is_rolled_back(pool: MySqlPool) {
    let db = connect(&pool).await;
    sqlx::query("CREATE TABLE numbers (n INT)")
        .execute(&db)
        .await
        .unwrap();
    let dropped = transaction(&db, |transaction| {
        Box::pin(async move {
            sqlx::query("INSERT INTO numbers VALUES (1)")
                .execute(&mut **transaction)
                .await?;
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Some(()))
        })
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(300), dropped)
            .await
            .is_err()
    );
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM numbers")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(count, 0);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_older_schema_is_refused_and_a_newer_one_is_not(pool: MySqlPool) {
    let url = pool.connect_options().to_url_lossy().to_string();
    let source = DatabaseSource::Url(url.into());
    let execute = async |sql: &str| sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    let next = NEEDED_VERSION + 1;
    execute(&format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES ({next}, 'of a later build', TRUE, 'x', 1)"
    ))
    .await;
    Db::connect(&source, StatementLimit::Worker).await.unwrap();
    // A migration that has failed does not count.
    execute(&format!(
        "DELETE FROM _sqlx_migrations WHERE version = {next}"
    ))
    .await;
    execute(&format!(
        "UPDATE _sqlx_migrations SET success = FALSE WHERE version = {NEEDED_VERSION}"
    ))
    .await;
    let refused = Db::connect(&source, StatementLimit::Worker).await;
    let error = refused.err().unwrap().to_string();
    let expected = format!(
        "the database has schema version {}, and this build needs {NEEDED_VERSION}",
        NEEDED_VERSION - 1
    );
    assert!(error.starts_with(&expected), "{error}");
    execute("DROP TABLE _sqlx_migrations").await;
    let refused = Db::connect(&source, StatementLimit::Worker).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("schema version 0"), "{error}");
}

/// Returns whether the test runs on MariaDB, which has other limits.
async fn is_mariadb(db: &Db) -> bool {
    let version: String = sqlx::query_scalar("SELECT VERSION()")
        .fetch_one(db)
        .await
        .unwrap();
    version.contains("MariaDB")
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_statement_has_a_limit_that_the_server_enforces(pool: MySqlPool) {
    let db = connect(&pool).await;
    let (limit, shorter) = if is_mariadb(&db).await {
        (
            "SELECT CAST(@@SESSION.max_statement_time AS UNSIGNED)",
            "SET SESSION max_statement_time = 0.1",
        )
    } else {
        (
            "SELECT CAST(@@SESSION.max_execution_time / 1000 AS UNSIGNED)",
            "SET SESSION max_execution_time = 100",
        )
    };
    let seconds: u64 = sqlx::query_scalar(limit).fetch_one(&db).await.unwrap();
    assert_eq!(seconds, 15);
    sqlx::query(shorter).execute(&db).await.unwrap();
    // Would take hours.
    let columns = "information_schema.COLUMNS";
    let long = format!("SELECT COUNT(*) FROM {columns} a, {columns} b, {columns} c, {columns} d");
    let error = sqlx::query(&long).execute(&db).await.unwrap_err();
    assert!(is_statement_limit(&error), "{error:?}");
    // The connection still works.
    sqlx::query("SELECT 1").execute(&db).await.unwrap();
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_time_for_which_an_invocation_uses_its_connection_is_counted(pool: MySqlPool) {
    let db = connect(&pool).await;
    let query = async {
        sqlx::query("SELECT SLEEP(0.05)")
            .execute(&db)
            .await
            .unwrap()
    };
    let (_, figures) = collect(query).await;
    let used = figures.count(Counter::DatabaseTime);
    assert!((50_000..5_000_000).contains(&used), "{used} microseconds");
}
