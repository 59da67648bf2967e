//! The statements of a request about its caller, and of the audit log.

use chrono::Utc;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::{Null, Plans},
    tables::{NUMBERS, analyze, execute},
};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_about_a_caller_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    insert_callers(&pool).await;
    let mut plans = Plans::new(&pool);
    check_callers(&mut plans).await;
    check_tokens(&mut plans).await;
    check_audit_log(&mut plans).await;
    plans.assert_none_wrong();
}

/// 900 users, sessions, refresh tokens, keys, callers and entries of the audit log.
async fn insert_callers(pool: &MySqlPool) {
    for (insert, columns) in [
        (
            "INSERT INTO users (id, username, role, password_hash, created_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), n, 'admin', '', NOW()",
        ),
        (
            "INSERT INTO sessions (id, user_id, address, created_at, expires_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), UNHEX(LPAD(HEX(n), 32, '0')), '', NOW(), NOW() + INTERVAL n DAY",
        ),
        (
            "INSERT INTO refresh_tokens (hash, session_id, issued_at)",
            "UNHEX(LPAD(HEX(n), 64, '0')), UNHEX(LPAD(HEX(n), 32, '0')), NOW()",
        ),
        (
            "INSERT INTO api_keys (id, name, prefix, hash, permissions, created_by, created_at, user_id)",
            "UNHEX(LPAD(HEX(n), 32, '0')), '', '', UNHEX(LPAD(HEX(n), 64, '0')), '', '', NOW(), UNHEX(LPAD(HEX(n), 32, '0'))",
        ),
        (
            "INSERT INTO second_factors (user_id, id, key_id, created_at, confirmed_at)",
            "UNHEX(LPAD(HEX(n), 32, '0')), UNHEX(LPAD(HEX(n), 32, '0')), '', NOW(), NOW()",
        ),
        (
            "INSERT INTO callers (caller, free_at_us, last_used_at)",
            "UNHEX(LPAD(HEX(n), 64, '0')), 0, NOW()",
        ),
        (
            "INSERT INTO audit_log (id, actor, actor_name, address, request_id, action, resource)",
            "UNHEX(LPAD(HEX(n), 32, '0')), CONCAT('user:', n), '', '', '', 'login', CONCAT('user:', n)",
        ),
    ] {
        execute(pool, &format!("{insert} {NUMBERS} {columns} FROM n")).await;
    }
    analyze(
        pool,
        "users, sessions, refresh_tokens, api_keys, second_factors, callers, audit_log",
    )
    .await;
}

/// The hash of the rows with n = 7.
fn known_hash() -> Vec<u8> {
    let mut hash = vec![0; 32];
    hash[31] = 7;
    hash
}

async fn check_callers(plans: &mut Plans<'_>) {
    let (now, known, hash) = (Utc::now(), Uuid::from_u128(7), known_hash());
    plans
        .check(
            "the user of a session",
            &["FROM sessions s JOIN users u"],
            &["s PRIMARY", "u PRIMARY", "f PRIMARY"],
            &[&known, &now],
        )
        .await;
    plans
        .check(
            "an API key",
            &["FROM api_keys k LEFT JOIN users u"],
            &["k hash_once", "u PRIMARY"],
            &[&hash],
        )
        .await;
    plans
        .check(
            "the keys of a person",
            &["FROM api_keys WHERE user_id = ?"],
            &["api_keys of_user"],
            &[&known],
        )
        .await;
    plans
        .check(
            "the sessions of a person",
            &["MAX(t.issued_at)"],
            &["s of_user", "t of_session"],
            &[&known, &now, &200],
        )
        .await;
    plans
        .check(
            "the rate limit of a caller",
            &["UPDATE callers", "LAST_INSERT_ID"],
            &["callers PRIMARY"],
            &[&1, &1, &now, &hash, &1, &1, &1],
        )
        .await;
}

async fn check_tokens(plans: &mut Plans<'_>) {
    plans
        .check(
            "a refresh token",
            &["FROM refresh_tokens t JOIN sessions s"],
            &["t PRIMARY", "s PRIMARY", "u PRIMARY"],
            &[&known_hash()],
        )
        .await;
    plans
        .check(
            "a login",
            &["FROM users WHERE username = ?"],
            &["users username_once", "f PRIMARY"],
            &[&"7"],
        )
        .await;
    plans
        .check(
            "old sessions",
            &["DELETE FROM sessions"],
            &["sessions by_end"],
            &[&Utc::now(), &5000],
        )
        .await;
}

async fn check_audit_log(plans: &mut Plans<'_>) {
    let (first, last, user) = (Uuid::nil(), Uuid::max(), Some("user:7"));
    for (what, actor, resource, key) in [
        ("the audit log", None, None, "audit_log PRIMARY"),
        ("the entries of a user", user, None, "audit_log by_actor"),
        (
            "the entries about a resource",
            None,
            user,
            "audit_log by_resource",
        ),
    ] {
        plans
            .check(
                what,
                &["FROM audit_log", "id >= ? AND id < ?"],
                &[key],
                &[
                    &first, &last, &actor, &actor, &resource, &resource, &Null, &Null, &50,
                ],
            )
            .await;
    }
}
