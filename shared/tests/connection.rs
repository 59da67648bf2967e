//! The connection of an environment: how often it is tested, and what happens when it breaks.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use shared::platform::{
    config::DatabaseSource,
    db::{Db, transaction::transaction},
};
use sqlx::{ConnectOptions, MySqlPool};

/// Connects as a function does, to the database of the test.
async fn connect(pool: &MySqlPool) -> Db {
    let url = pool.connect_options().to_url_lossy().to_string();
    Db::connect(&DatabaseSource::Url(url.into())).await.unwrap()
}

/// Returns how many pings the server has got on this connection.
async fn pings(db: &Db) -> i64 {
    let row: (String, String) = sqlx::query_as("SHOW SESSION STATUS LIKE 'Com_admin_commands'")
        .fetch_one(db)
        .await
        .unwrap();
    row.1.parse().unwrap()
}

#[sqlx::test]
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

#[sqlx::test]
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

#[sqlx::test]
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
