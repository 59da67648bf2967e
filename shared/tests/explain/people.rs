//! What a request asks about its caller.

use chrono::Utc;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{Plan, complaints, explain, statement};

/// What every request asks, and what the log is asked; on 2,000 users, sessions, keys and callers, and 20,000 entries.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn every_statement_about_who_calls_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let (now, id) = (Utc::now(), Uuid::nil());
    let numbers =
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 900) SELECT";
    let of = |insert: &str, columns: &str| format!("{insert} {numbers} {columns} FROM n");
    for sql in [
        of(
            "INSERT INTO users (id, username, role, password_hash, created_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), n, 'admin', '', NOW()",
        ),
        of(
            "INSERT INTO sessions (id, user_id, address, created_at, expires_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), UNHEX(LPAD(HEX(n), 32, '0')), '', NOW(), NOW() + INTERVAL n DAY",
        ),
        of(
            "INSERT INTO refresh_tokens (hash, session_id, issued_at)",
            "UNHEX(LPAD(HEX(n), 64, '0')), UNHEX(LPAD(HEX(n), 32, '0')), NOW()",
        ),
        of(
            "INSERT INTO api_keys (id, name, prefix, hash, permissions, created_by, created_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), '', '', UNHEX(LPAD(HEX(n), 64, '0')), '', '', NOW()",
        ),
        of(
            "INSERT INTO callers (caller, free_at_us, last_used_at)",
            "UNHEX(LPAD(HEX(n), 64, '0')), 0, NOW()",
        ),
        of(
            "INSERT INTO audit_log (id, actor, actor_name, address, request_id, action, resource)",
            "UNHEX(LPAD(HEX(n), 32, '0')), CONCAT('user:', n), '', '', '', 'login', CONCAT('user:', n)",
        ),
    ] {
        sqlx::query(&sql).execute(&pool).await.unwrap();
    }
    sqlx::raw_sql("ANALYZE TABLE users, sessions, refresh_tokens, api_keys, callers, audit_log")
        .execute(&pool)
        .await
        .unwrap();
    let mut wrong = Vec::new();
    let mut check =
        |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));
    let hash = vec![0_u8; 31].into_iter().chain([7]).collect::<Vec<u8>>();
    let known = Uuid::from_u128(7);

    let plan = explain(&pool, &statement(&["FROM sessions s JOIN users u"]), |q| {
        q.bind(known).bind(now)
    })
    .await;
    check(
        "the user of a session",
        plan,
        &[("s", "PRIMARY"), ("u", "PRIMARY")],
    );

    let plan = explain(&pool, &statement(&["FROM api_keys WHERE hash = ?"]), |q| {
        q.bind(hash.clone())
    })
    .await;
    check("a key", plan, &[("api_keys", "hash_once")]);

    let plan = explain(&pool, &statement(&["UPDATE callers"]), |q| {
        q.bind(1)
            .bind(1)
            .bind(now)
            .bind(hash.clone())
            .bind(1)
            .bind(1)
            .bind(1)
    })
    .await;
    check("a request", plan, &[("callers", "PRIMARY")]);

    let plan = explain(
        &pool,
        &statement(&["FROM refresh_tokens t JOIN sessions s"]),
        |q| q.bind(hash.clone()),
    )
    .await;
    check(
        "a refresh token",
        plan,
        &[("t", "PRIMARY"), ("s", "PRIMARY"), ("u", "PRIMARY")],
    );

    let plan = explain(&pool, &statement(&["FROM users WHERE username = ?"]), |q| {
        q.bind("7")
    })
    .await;
    check("a login", plan, &[("users", "username_once")]);

    let log = statement(&["FROM audit_log"]);
    let none = None::<String>;
    let filter = |actor: Option<&'static str>, resource: Option<&'static str>| (actor, resource);
    for (what, (actor, resource), key) in [
        ("the log", filter(None, None), "PRIMARY"),
        (
            "the log of a person",
            filter(Some("user:7"), None),
            "by_actor",
        ),
        (
            "the log of a resource",
            filter(None, Some("user:7")),
            "by_resource",
        ),
    ] {
        let plan = explain(&pool, &log, |q| {
            let q = q
                .bind(id)
                .bind(Uuid::max())
                .bind(actor)
                .bind(actor)
                .bind(resource)
                .bind(resource);
            q.bind(none.clone()).bind(none.clone()).bind(50)
        });
        check(what, plan.await, &[("audit_log", key)]);
    }

    let plan = explain(&pool, &statement(&["DELETE FROM sessions"]), |q| {
        q.bind(now).bind(5000)
    })
    .await;
    check("old sessions", plan, &[("sessions", "by_end")]);

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
