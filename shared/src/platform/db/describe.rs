//! Errors as they are logged. The message of a database server may quote a value, and so a number
//! or a text: only its code is logged.

use std::error::Error;

/// Returns the error and its causes, as `context: cause`.
pub fn describe(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        if let Some(code) = code(cause) {
            parts.push(code);
            break; // The next cause is the server's message.
        }
        parts.push(cause.to_string());
    }
    parts.join(": ")
}

/// Returns one database error, without the server's message.
pub fn describe_one(error: &sqlx::Error) -> String {
    code(error).unwrap_or_else(|| error.to_string())
}

fn code(error: &(dyn Error + 'static)) -> Option<String> {
    let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>() else {
        return None;
    };
    let number = error
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map(sqlx::mysql::MySqlDatabaseError::number);
    Some(format!(
        "the database refused a statement: {}",
        number.map_or("unknown".to_owned(), |number| number.to_string())
    ))
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use sqlx::MySqlPool;

    use super::*;

    #[sqlx::test(migrations = false)]
    async fn a_value_in_a_servers_message_is_not_logged(pool: MySqlPool) {
        let failed = sqlx::query("SELEKT '+60123456789'").execute(&pool).await;
        assert!(
            failed
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("+60123456789"),
            "the server quotes the value"
        );
        assert_eq!(
            describe_one(failed.as_ref().unwrap_err()),
            "the database refused a statement: 1064"
        );
        let error = failed.context("recording").unwrap_err();
        assert_eq!(
            describe(&error),
            "recording: the database refused a statement: 1064"
        );
        let other = anyhow::anyhow!("no route").context("asking");
        assert_eq!(describe(&other), "asking: no route");
    }
}
