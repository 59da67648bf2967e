//! The statements on `idempotency_keys`: a repeated request is executed once, and answered alike.
//!
//! The row is inserted before the request is executed, `resource` is set in the transaction of the
//! change, and the answer is stored last. So a crash at any point leaves one of three states:
//! nothing was executed, and the next attempt executes the request; the request was executed, and
//! the next attempt reports that; or the request was answered. An attempt that was superseded
//! cannot commit, because the row has another token.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// The time for which an attempt holds its key: longer than an invocation of the API lasts.
const ATTEMPT_LOCK: TimeDelta = TimeDelta::seconds(60);

/// One attempt to execute a request. Its token is the right to commit the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// SHA-256 of the caller and the key.
    pub id: Vec<u8>,
    /// Different for each attempt.
    pub token: Uuid,
}

/// An answer that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct SavedAnswer {
    pub status: u16,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub body: Option<Vec<u8>>,
}

/// The state of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The key is unknown, or its last attempt had no effect: this attempt executes the request.
    New,
    /// The key was used for another request.
    OtherRequest,
    /// Another attempt is executing the request.
    InProgress,
    /// The request was executed on this resource, but the answer was lost.
    Executed(String),
    /// The request was answered.
    Answered(SavedAnswer),
}

struct Row {
    fingerprint: Vec<u8>,
    token: Uuid,
    locked_until: DateTime<Utc>,
    resource: Option<String>,
    status: Option<u16>,
    content_type: Option<String>,
    location: Option<String>,
    body: Option<Vec<u8>>,
    created_at: DateTime<Utc>,
}

/// Begins an attempt, and returns the state of the key before it.
pub async fn begin_attempt(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    fingerprint: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<KeyState> {
    // More than one round only if another attempt deletes or takes over the row between two
    // statements.
    for _ in 0..3 {
        let added = sqlx::query!(
            "INSERT IGNORE INTO idempotency_keys (id, fingerprint, token, locked_until, created_at) VALUES (?, ?, ?, ?, ?)",
            attempt.id,
            fingerprint,
            attempt.token,
            now + ATTEMPT_LOCK,
            now
        );
        if added.execute(&mut *connection).await?.rows_affected() > 0 {
            return Ok(KeyState::New);
        }
        let Some(row) = find(connection, &attempt.id).await? else {
            continue;
        };
        if row.created_at <= now - shared::access::IDEMPOTENCY_RETENTION {
            delete_expired(connection, attempt, row.token).await?;
            continue;
        }
        match state_of(row, fingerprint, now) {
            Ok(state) => return Ok(state),
            Err(crashed) => {
                if take_over(connection, attempt, crashed, now).await? {
                    return Ok(KeyState::New);
                }
            }
        }
    }
    Ok(KeyState::InProgress)
}

/// Deletes the row of a key that is older than 24 hours, unless another attempt has replaced it.
async fn delete_expired(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    seen: Uuid,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE id = ? AND token = ?",
        attempt.id,
        seen
    );
    done.execute(connection).await.map(drop)
}

/// Takes over the row of an attempt that crashed. Returns false if another attempt was faster.
async fn take_over(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    crashed: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let taken = sqlx::query!(
        "UPDATE idempotency_keys SET token = ?, locked_until = ? WHERE id = ? AND token = ? AND resource IS NULL AND status IS NULL",
        attempt.token,
        now + ATTEMPT_LOCK,
        attempt.id,
        crashed
    );
    Ok(taken.execute(connection).await?.rows_affected() > 0)
}

async fn find(connection: &mut MySqlConnection, id: &[u8]) -> sqlx::Result<Option<Row>> {
    sqlx::query_as!(
        Row,
        r#"SELECT fingerprint, token AS "token: Uuid", locked_until AS "locked_until: DateTime<Utc>", resource, status, content_type,
             location, body, created_at AS "created_at: DateTime<Utc>"
           FROM idempotency_keys WHERE id = ?"#,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Returns the state of a key, or the token of its last attempt if that crashed before it changed
/// anything.
fn state_of(row: Row, fingerprint: &[u8], now: DateTime<Utc>) -> Result<KeyState, Uuid> {
    if row.fingerprint != fingerprint {
        return Ok(KeyState::OtherRequest);
    }
    if let Some(status) = row.status {
        let Row {
            content_type,
            location,
            body,
            ..
        } = row;
        return Ok(KeyState::Answered(SavedAnswer {
            status,
            content_type,
            location,
            body,
        }));
    }
    if row.locked_until > now {
        return Ok(KeyState::InProgress);
    }
    row.resource.map(KeyState::Executed).ok_or(row.token)
}

/// Marks the request as executed, in the transaction of its change. Returns false if another
/// attempt has taken over, so that this one must not commit.
pub async fn mark_executed(
    transaction: &mut MySqlConnection,
    attempt: &Attempt,
    resource: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE idempotency_keys SET resource = COALESCE(resource, ?) WHERE id = ? AND token = ?",
        resource,
        attempt.id,
        attempt.token
    );
    Ok(done.execute(transaction).await?.rows_affected() > 0)
}

/// Stores the answer of an attempt.
pub async fn save_answer(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    answer: &SavedAnswer,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE idempotency_keys SET status = ?, content_type = ?, location = ?, body = ? WHERE id = ? AND token = ?",
        answer.status,
        answer.content_type,
        answer.location,
        answer.body,
        attempt.id,
        attempt.token
    );
    done.execute(connection).await.map(drop)
}

/// Deletes an attempt that changed nothing, so that the request may be retried.
pub async fn delete_attempt(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE id = ? AND token = ? AND resource IS NULL",
        attempt.id,
        attempt.token
    );
    done.execute(connection).await.map(drop)
}
