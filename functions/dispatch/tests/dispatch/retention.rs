//! Retention: which rows are deleted, and which stay.

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::retention::{DeletedRows, delete_expired_rows, is_due};
use shared::platform::db::Db;
use sqlx::MySqlPool;

/// Rows of one age. Each has a number of its own, from which ids and hashes are made; the second
/// row of a table uses `number + 100`.
struct Rows<'a> {
    pool: &'a MySqlPool,
    number: u8,
    age: TimeDelta,
    time: DateTime<Utc>,
}

impl Rows<'_> {
    fn id(&self) -> Vec<u8> {
        vec![self.number; 16]
    }

    fn hash(&self) -> Vec<u8> {
        vec![self.number; 32]
    }

    /// Inserts a session with two tokens, two callers of which one is an API key, a login guard, an
    /// idempotency key, two deliveries, a day of the key's usage, and one of velocity.
    async fn insert(&self) {
        self.insert_session().await;
        self.insert_device().await;
        self.insert_callers().await;
        self.insert_limits().await;
        self.insert_deliveries().await;
    }

    async fn insert_session(&self) {
        let session = "INSERT INTO sessions (id, user_id, address, created_at, expires_at) VALUES (?, ?, '::1', ?, ?)";
        sqlx::query(session)
            .bind(self.id())
            .bind(self.id())
            .bind(self.time)
            .bind(self.time)
            .execute(self.pool)
            .await
            .unwrap();
        for token in [self.number, self.number + 100] {
            let sql = "INSERT INTO refresh_tokens (hash, session_id, issued_at) VALUES (?, ?, ?)";
            sqlx::query(sql)
                .bind(vec![token; 32])
                .bind(self.id())
                .bind(self.time)
                .execute(self.pool)
                .await
                .unwrap();
        }
    }

    /// Twice as old as the other rows, so that one is past its retention.
    async fn insert_device(&self) {
        let sql = "INSERT INTO known_devices (id, user_id, hash, last_used_at) VALUES (?, ?, ?, ?)";
        sqlx::query(sql)
            .bind(self.id())
            .bind(self.id())
            .bind(self.hash())
            .bind(self.time - self.age)
            .execute(self.pool)
            .await
            .unwrap();
    }

    async fn insert_callers(&self) {
        for caller in [self.number, self.number + 100] {
            let sql = "INSERT INTO callers (caller, free_at_us, last_used_at) VALUES (?, 0, ?)";
            sqlx::query(sql)
                .bind(vec![caller; 32])
                .bind(self.time)
                .execute(self.pool)
                .await
                .unwrap();
        }
        let sql = "INSERT INTO api_keys (id, name, prefix, hash, permissions, created_by, created_at) VALUES (?, 'x', 'x', ?, '', 'x', ?)";
        sqlx::query(sql)
            .bind(self.id())
            .bind(vec![self.number + 100; 32])
            .bind(self.time)
            .execute(self.pool)
            .await
            .unwrap();
        let sql = "INSERT INTO velocity_days (created_by, day, most_parts) VALUES (?, ?, 1)";
        sqlx::query(sql)
            .bind(self.number.to_string())
            .bind(self.time.date_naive())
            .execute(self.pool)
            .await
            .unwrap();
        let sql = "INSERT INTO key_days (key_id, day, messages) VALUES (?, ?, 1)";
        sqlx::query(sql)
            .bind(self.id())
            .bind(self.time.date_naive())
            .execute(self.pool)
            .await
            .unwrap();
    }

    async fn insert_limits(&self) {
        let sql = "INSERT INTO login_guards (subject, failures, last_at, locked_until) VALUES (?, 1, ?, ?)";
        sqlx::query(sql)
            .bind(self.hash())
            .bind(self.time)
            .bind(self.time)
            .execute(self.pool)
            .await
            .unwrap();
        let sql = "INSERT INTO idempotency_keys (id, fingerprint, token, locked_until, created_at) VALUES (?, ?, ?, ?, ?)";
        sqlx::query(sql)
            .bind(self.hash())
            .bind(self.hash())
            .bind(self.id())
            .bind(self.time)
            .bind(self.time)
            .execute(self.pool)
            .await
            .unwrap();
    }

    /// One delivery is delivered; the other is still retried if the rows are older than a day.
    async fn insert_deliveries(&self) {
        let is_retried = self.age > TimeDelta::days(1);
        let (second, due_at) = if is_retried {
            ("pending", Some(self.time))
        } else {
            ("failed", None)
        };
        let rows = [
            (self.number, "delivered", None),
            (self.number + 100, second, due_at),
        ];
        for (event, status, due_at) in rows {
            let sql = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, status, due_at, created_at) VALUES (?, ?, 'x', ?, ?, ?)";
            sqlx::query(sql)
                .bind(self.id())
                .bind(vec![event; 16])
                .bind(status)
                .bind(due_at)
                .bind(self.time)
                .execute(self.pool)
                .await
                .unwrap();
        }
    }
}

async fn count(pool: &MySqlPool, table: &str) -> i64 {
    sqlx::query_scalar(&format!("SELECT COUNT(*) FROM {table}"))
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn only_rows_past_their_retention_are_deleted(pool: MySqlPool) {
    let now = Utc::now();
    let ages = [
        TimeDelta::hours(23),
        TimeDelta::hours(25),
        TimeDelta::days(94),
    ];
    for (number, age) in (1..).zip(ages) {
        let rows = Rows {
            pool: &pool,
            number,
            age,
            time: now - age,
        };
        rows.insert().await;
    }
    let db = Db::from_pool(pool.clone());
    let deleted = delete_expired_rows(&db, now).await.unwrap();
    let expected = DeletedRows {
        refresh_tokens: 4,
        sessions: 2,
        known_devices: 1,
        callers: 2,
        login_guards: 2,
        key_days: 1,
        idempotency_keys: 2,
        webhook_deliveries: 1,
        velocity_days: 1,
    };
    assert_eq!(
        deleted, expected,
        "of the deliveries of 94 days ago, one has ended and the other is still retried"
    );
    assert_eq!(
        delete_expired_rows(&db, now).await.unwrap(),
        DeletedRows::default()
    );
    let mut left = Vec::new();
    for table in [
        "sessions",
        "refresh_tokens",
        "known_devices",
        "callers",
        "login_guards",
        "key_days",
        "velocity_days",
        "api_keys",
        "webhook_deliveries",
    ] {
        left.push(count(&pool, table).await);
    }
    // Of the callers, one is recent and three are API keys, whose last use is shown.
    assert_eq!(left, [1, 2, 2, 4, 1, 2, 2, 3, 5]);
}

#[test]
fn retention_is_due_in_one_minute_per_hour() {
    let hour: DateTime<Utc> = "2030-01-01T00:00:30Z".parse().unwrap();
    assert_eq!(
        (0..60)
            .filter(|minute| is_due(hour + TimeDelta::minutes(*minute)))
            .count(),
        1
    );
}
