//! What is tidied away, and what is not.
#![allow(missing_docs, clippy::unwrap_used)]

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::retention::{Tidied, is_time, tidy};
use shared::platform::db::Db;
use sqlx::MySqlPool;

/// A session with two tokens, a caller, a guard and a key's day, all of that age; one caller more, which is an API key's.
async fn fill(pool: &MySqlPool, name: u8, age: TimeDelta, now: DateTime<Utc>) {
    let then = now - age;
    let (id, key) = (vec![name; 16], vec![name; 32]);
    let session = "INSERT INTO sessions (id, user_id, address, created_at, expires_at) VALUES (?, ?, '::1', ?, ?)";
    sqlx::query(session)
        .bind(&id)
        .bind(&id)
        .bind(then)
        .bind(then)
        .execute(pool)
        .await
        .unwrap();
    for token in [name, name + 100] {
        let sql = "INSERT INTO refresh_tokens (hash, session_id, issued_at) VALUES (?, ?, ?)";
        sqlx::query(sql)
            .bind(vec![token; 32])
            .bind(&id)
            .bind(then)
            .execute(pool)
            .await
            .unwrap();
    }
    for caller in [name, name + 100] {
        let sql = "INSERT INTO callers (caller, free_at_us, last_used_at) VALUES (?, 0, ?)";
        sqlx::query(sql)
            .bind(vec![caller; 32])
            .bind(then)
            .execute(pool)
            .await
            .unwrap();
    }
    let sql = "INSERT INTO api_keys (id, name, prefix, hash, permissions, created_by, created_at) VALUES (?, 'x', 'x', ?, '', 'x', ?)";
    sqlx::query(sql)
        .bind(&id)
        .bind(vec![name + 100; 32])
        .bind(then)
        .execute(pool)
        .await
        .unwrap();
    let sql =
        "INSERT INTO login_guards (subject, failures, last_at, locked_until) VALUES (?, 1, ?, ?)";
    sqlx::query(sql)
        .bind(&key)
        .bind(then)
        .bind(then)
        .execute(pool)
        .await
        .unwrap();
    let sql = "INSERT INTO idempotency_keys (id, fingerprint, token, locked_until, created_at) VALUES (?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(&key)
        .bind(&key)
        .bind(&id)
        .bind(then)
        .bind(then)
        .execute(pool)
        .await
        .unwrap();
    let over = age > TimeDelta::days(1);
    for (event, status, due) in [
        (name, "delivered", None),
        (
            name + 100,
            if over { "pending" } else { "failed" },
            over.then_some(then),
        ),
    ] {
        let sql = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, status, due_at, created_at) VALUES (?, ?, 'x', ?, ?, ?)";
        let insert = sqlx::query(sql)
            .bind(&id)
            .bind(vec![event; 16])
            .bind(status)
            .bind(due)
            .bind(then);
        insert.execute(pool).await.unwrap();
    }
    let sql = "INSERT INTO key_days (key_id, day, messages) VALUES (?, ?, 1)";
    sqlx::query(sql)
        .bind(&id)
        .bind(then.date_naive())
        .execute(pool)
        .await
        .unwrap();
}

async fn count(pool: &MySqlPool, table: &str) -> i64 {
    sqlx::query_scalar(&format!("SELECT COUNT(*) FROM {table}"))
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_nobody_will_ask_for_is_deleted_and_nothing_else(pool: MySqlPool) {
    let now = Utc::now();
    fill(&pool, 1, TimeDelta::hours(23), now).await;
    fill(&pool, 2, TimeDelta::hours(25), now).await;
    fill(&pool, 3, TimeDelta::days(94), now).await;
    let db = Db::from_pool(pool.clone());
    let tidied = tidy(&db, now).await.unwrap();
    let expected = Tidied {
        refresh_tokens: 4,
        sessions: 2,
        callers: 2,
        login_guards: 2,
        key_days: 1,
        idempotency_keys: 2,
        webhook_deliveries: 1,
    };
    assert_eq!(
        tidied, expected,
        "of the deliveries: one of 94 days is over, the other is still tried"
    );
    assert_eq!(tidy(&db, now).await.unwrap(), Tidied::default());
    let mut left = Vec::new();
    for table in [
        "sessions",
        "refresh_tokens",
        "callers",
        "login_guards",
        "key_days",
        "api_keys",
        "webhook_deliveries",
    ] {
        left.push(count(&pool, table).await);
    }
    // Of the callers, one is young and three are API keys, whose last use is told.
    assert_eq!(left, [1, 2, 4, 1, 2, 3, 5]);
}

#[test]
fn one_minute_of_an_hour_tidies() {
    let hour: DateTime<Utc> = "2030-01-01T00:00:30Z".parse().unwrap();
    assert_eq!(
        (0..60)
            .filter(|minute| is_time(hour + TimeDelta::minutes(*minute)))
            .count(),
        1
    );
}
