//! What needs a person: missed, parked, uncertain, overdue, paused. Nothing of it goes on by itself, so all of it can be listed.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::patience::MAX_CRASHES;

/// Batches of one schedule that need a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Something of it was found too late and is held.
    pub missed: u32,
    /// Claimed three times without a release.
    pub parked: u32,
}

/// How many batches of a schedule need a person. One under its third claim is not parked yet: it may still be released.
pub async fn count_waiting(connection: &mut MySqlConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<Waiting> {
    sqlx::query_as!(
        Waiting,
        r#"SELECT CAST(COALESCE(SUM(missed_at IS NOT NULL), 0) AS UNSIGNED) AS "missed!: u32",
             CAST(COALESCE(SUM(crashes >= ? AND (claim_token IS NULL OR claimed_until < ?)), 0) AS UNSIGNED) AS "parked!: u32"
           FROM batches WHERE schedule_id = ?"#,
        MAX_CRASHES,
        now,
        id
    )
    .fetch_one(connection)
    .await
}
