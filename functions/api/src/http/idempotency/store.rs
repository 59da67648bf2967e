//! `idempotency_keys`: a request that comes twice is carried out once, and answered alike.
//!
//! The row is there before the request is carried out, `resource` is set in the transaction of the change, and the answer comes last. So a
//! crash at any point leaves one of three: nothing was done, and the next attempt does it; it was done, and the next attempt is told so;
//! it was answered. An attempt that was overtaken can't commit any more, as the row has another token.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Longer than an invocation of the API lasts.
const AT_WORK: TimeDelta = TimeDelta::seconds(60);

/// The right to carry a request out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// SHA-256 of the caller and its key.
    pub id: Vec<u8>,
    /// Fresh for every attempt.
    pub token: Uuid,
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct KeptAnswer {
    pub status: u16,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub body: Option<Vec<u8>>,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing, or an attempt that came to nothing: this one is to carry the request out.
    New,
    /// It came with another request.
    OtherRequest,
    /// Another attempt is at work.
    InProgress,
    /// It was carried out, on this resource, and the answer was lost.
    Done(String),
    /// It was answered.
    Answered(KeptAnswer),
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

/// Begins an attempt, or says why there is to be none.
pub async fn begin_attempt(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    fingerprint: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Known> {
    // More than once only where somebody else removes or takes over the row between two statements.
    for _ in 0..3 {
        let added = sqlx::query!(
            "INSERT IGNORE INTO idempotency_keys (id, fingerprint, token, locked_until, created_at) VALUES (?, ?, ?, ?, ?)",
            attempt.id,
            fingerprint,
            attempt.token,
            now + AT_WORK,
            now
        );
        if added.execute(&mut *connection).await?.rows_affected() > 0 {
            return Ok(Known::New);
        }
        let Some(row) = find(connection, &attempt.id).await? else {
            continue;
        };
        if row.created_at <= now - shared::access::IDEMPOTENCY_RETENTION {
            sqlx::query!(
                "DELETE FROM idempotency_keys WHERE id = ? AND token = ?",
                attempt.id,
                row.token
            )
            .execute(&mut *connection)
            .await?;
            continue;
        }
        match known(row, fingerprint, now) {
            Ok(known) => return Ok(known),
            Err(dead) => {
                let taken = sqlx::query!(
                    "UPDATE idempotency_keys SET token = ?, locked_until = ? WHERE id = ? AND token = ? AND resource IS NULL AND status IS NULL",
                    attempt.token,
                    now + AT_WORK,
                    attempt.id,
                    dead
                );
                if taken.execute(&mut *connection).await?.rows_affected() > 0 {
                    return Ok(Known::New);
                }
            }
        }
    }
    Ok(Known::InProgress)
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

/// `Err`: an attempt with that token died before it changed anything.
fn known(row: Row, fingerprint: &[u8], now: DateTime<Utc>) -> Result<Known, Uuid> {
    if row.fingerprint != fingerprint {
        return Ok(Known::OtherRequest);
    }
    if let Some(status) = row.status {
        let Row {
            content_type,
            location,
            body,
            ..
        } = row;
        return Ok(Known::Answered(KeptAnswer {
            status,
            content_type,
            location,
            body,
        }));
    }
    if row.locked_until > now {
        return Ok(Known::InProgress);
    }
    row.resource.map(Known::Done).ok_or(row.token)
}

/// Notes in the transaction of a change that the request was carried out. False: another attempt has taken over, so this one must not
/// commit.
pub async fn note_done(
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

/// Keeps the answer of an attempt.
pub async fn keep_answer(
    connection: &mut MySqlConnection,
    attempt: &Attempt,
    answer: &KeptAnswer,
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

/// Forgets an attempt that changed nothing and may succeed another time.
pub async fn forget_attempt(
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
