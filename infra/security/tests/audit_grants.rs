//! The database grants of the functions' user on the audit log.
#![allow(missing_docs, clippy::unwrap_used)]

use demo::stack::Stack;
use security::Target;
use sqlx::{Connection, MySqlConnection};

/// Connects to the stack's database as the functions do.
async fn connect_as_functions() -> MySqlConnection {
    let stack = Stack::from_environment().unwrap();
    let url = stack.value("DATABASE_URL").unwrap();
    let url = url.replace("root@", "sms_app:local@");
    MySqlConnection::connect(&url).await.unwrap()
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn the_functions_can_only_append_to_the_audit_log() {
    Target::log_in_admin().await.unwrap();
    let mut functions = connect_as_functions().await;
    let entries: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit_log")
        .fetch_one(&mut functions)
        .await
        .unwrap();
    assert!(entries > 0, "the login is in the audit log");
    for statement in [
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "TRUNCATE TABLE audit_log",
        "DROP TABLE audit_log",
        "ALTER TABLE audit_log ADD COLUMN x INT",
        "REPLACE INTO audit_log SELECT * FROM audit_log LIMIT 1",
        "CREATE TABLE mine (id INT)",
    ] {
        let error = sqlx::query(statement)
            .execute(&mut functions)
            .await
            .unwrap_err();
        let sqlx::Error::Database(error) = error else {
            panic!("{statement}: {error}")
        };
        let number = error
            .downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            .number();
        assert!(matches!(number, 1142 | 1044), "{statement}: {error}");
    }
    // The statements that the functions need are granted.
    sqlx::query("UPDATE users SET last_login_at = last_login_at")
        .execute(&mut functions)
        .await
        .unwrap();
    assert_eq!(
        sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM audit_log")
            .fetch_one(&mut functions)
            .await
            .unwrap(),
        entries
    );
}
