//! `second_factors` and `recovery_codes`.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A row of `second_factors`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct FactorRow {
    pub id: Uuid,
    pub key_id: String,
    pub confirmed_at: Option<DateTime<Utc>>,
    pub last_step: u64,
}

/// Returns the second factor of a person, and locks it until the transaction ends.
pub async fn lock_factor(
    connection: &mut MySqlConnection,
    user_id: Uuid,
) -> sqlx::Result<Option<FactorRow>> {
    sqlx::query_as!(
        FactorRow,
        r#"SELECT id AS "id: Uuid", key_id AS "key_id: String", confirmed_at AS "confirmed_at: DateTime<Utc>", last_step
           FROM second_factors WHERE user_id = ? FOR UPDATE"#,
        user_id
    )
    .fetch_optional(connection)
    .await
}

/// Inserts a second factor that is not confirmed, in place of one that was not.
pub async fn insert_factor(
    connection: &mut MySqlConnection,
    user_id: Uuid,
    id: Uuid,
    key_id: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO second_factors (user_id, id, key_id, created_at) VALUES (?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE id = VALUES(id), key_id = VALUES(key_id), created_at = VALUES(created_at), last_step = 0",
        user_id,
        id,
        key_id,
        now
    );
    done.execute(connection).await.map(drop)
}

/// Records the step of a code, so that no older or equal one is accepted again.
pub async fn use_step(
    connection: &mut MySqlConnection,
    user_id: Uuid,
    step: u64,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE second_factors SET last_step = ? WHERE user_id = ?",
        step,
        user_id
    );
    done.execute(connection).await.map(drop)
}

/// Confirms a second factor, and inserts its recovery codes.
pub async fn confirm_factor(
    connection: &mut MySqlConnection,
    user_id: Uuid,
    hashes: &[Vec<u8>],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE second_factors SET confirmed_at = ? WHERE user_id = ?",
        now,
        user_id
    );
    done.execute(&mut *connection).await?;
    for hash in hashes {
        let done = sqlx::query!(
            "INSERT INTO recovery_codes (user_id, hash, created_at) VALUES (?, ?, ?)",
            user_id,
            hash,
            now
        );
        done.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Uses a recovery code. Returns whether the person had it, and had not used it.
pub async fn use_recovery_code(
    connection: &mut MySqlConnection,
    user_id: Uuid,
    hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE recovery_codes SET used_at = ? WHERE user_id = ? AND hash = ? AND used_at IS NULL",
        now,
        user_id,
        hash
    );
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Returns how many recovery codes a person has not used.
pub async fn count_recovery_codes(
    connection: &mut MySqlConnection,
    user_id: Uuid,
) -> sqlx::Result<u64> {
    sqlx::query_scalar!(
        r#"SELECT CAST(COUNT(*) AS UNSIGNED) AS "codes!: u64" FROM recovery_codes WHERE user_id = ? AND used_at IS NULL"#,
        user_id
    )
    .fetch_one(connection)
    .await
}
