//! Old rows of the audit log lose their numbers and texts, and nothing else.
#![allow(missing_docs, clippy::unwrap_used)]

use migrate::audit_log::clean;
use sqlx::{MySqlPool, types::Uuid};
use testkit::columns_with;

async fn insert(pool: &MySqlPool, resource: &str, state: Option<&str>) -> Uuid {
    let id = Uuid::now_v7();
    let sql = "INSERT INTO audit_log (id, actor, actor_name, address, request_id, action, resource, state_before, state_after)
        VALUES (?, 'user:1', 'ana', '::1', 'r', 'a', ?, ?, ?)";
    let insert = sqlx::query(sql)
        .bind(id)
        .bind(resource)
        .bind(state)
        .bind(state);
    insert.execute(pool).await.unwrap();
    id
}

async fn read(pool: &MySqlPool, id: Uuid) -> (String, Option<String>) {
    let sql = "SELECT resource, state_after FROM audit_log WHERE id = ?";
    sqlx::query_as(sql).bind(id).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn old_rows_lose_numbers_and_texts_and_nothing_else(pool: MySqlPool) {
    let pause = Some(r#"{"status":"paused"}"#);
    let kept = insert(&pool, "schedule:1", pause).await;
    let text = insert(
        &pool,
        "schedule:1",
        Some(r#"{"name":"x","message":"Dear Ana"}"#),
    )
    .await;
    for n in 0..600 {
        let number = format!("suppression:+60123{n:06}");
        insert(
            &pool,
            &number,
            Some(r#"{"reason":"call from +60123456789"}"#),
        )
        .await;
    }
    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(clean(&mut connection).await.unwrap(), 601);
    assert_eq!(clean(&mut connection).await.unwrap(), 0, "once");
    for gone in ["+60123", "Dear Ana"] {
        assert_eq!(columns_with(&pool, gone).await, Vec::<String>::new());
    }
    assert_eq!(
        read(&pool, kept).await,
        ("schedule:1".to_owned(), pause.map(str::to_owned))
    );
    let state = read(&pool, text).await.1.unwrap();
    assert!(
        state.contains(r#""name":"x""#) && state.contains("sha256:"),
        "{state}"
    );
}
