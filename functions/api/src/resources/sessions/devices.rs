//! `known_devices`: a device on which a user has logged in has a token. It proves nothing but that:
//! a login needs the password as well.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use shared::{
    access::audit::new_id,
    platform::secret::{hash_token, random_text},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A device that was not used for this time is forgotten.
pub(super) const KNOWN_FOR: TimeDelta = TimeDelta::days(180);
/// Devices of a user, at most; beyond it the one that was not used for the longest time is
/// forgotten.
const MOST_DEVICES: u32 = 20;

/// Returns the id of a device, if it is one of the user with this name.
pub(super) async fn find_device(
    connection: &mut MySqlConnection,
    hash: &[u8],
    username: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"SELECT d.id AS "id: Uuid" FROM known_devices d JOIN users u ON u.id = d.user_id
           WHERE d.hash = ? AND u.username = ? AND d.last_used_at > ?"#,
        hash,
        username,
        now - KNOWN_FOR
    )
    .fetch_optional(connection)
    .await
}

/// Notes that a user has logged in on a device. Returns the token of the device: the given one if it
/// is known, else a new one.
pub(super) async fn note_device(
    connection: &mut MySqlConnection,
    user_id: Uuid,
    given: Option<&SecretString>,
    now: DateTime<Utc>,
) -> sqlx::Result<String> {
    if let Some(token) = given.map(ExposeSecret::expose_secret) {
        let used = sqlx::query!(
            "UPDATE known_devices SET last_used_at = ? WHERE hash = ? AND user_id = ? AND last_used_at > ?",
            now,
            hash_token(token),
            user_id,
            now - KNOWN_FOR
        );
        if used.execute(&mut *connection).await?.rows_affected() > 0 {
            return Ok(token.to_owned());
        }
    }
    let token = random_text(52);
    let done = sqlx::query!(
        "INSERT INTO known_devices (id, user_id, hash, last_used_at) VALUES (?, ?, ?, ?)",
        new_id(now),
        user_id,
        hash_token(&token),
        now
    );
    done.execute(&mut *connection).await?;
    forget_oldest(connection, user_id).await?;
    Ok(token)
}

async fn forget_oldest(connection: &mut MySqlConnection, user_id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE FROM known_devices WHERE user_id = ? AND id NOT IN
           (SELECT id FROM (SELECT id FROM known_devices WHERE user_id = ? ORDER BY last_used_at DESC, id DESC LIMIT ?) newest)",
        user_id,
        user_id,
        MOST_DEVICES
    );
    done.execute(connection).await.map(drop)
}
