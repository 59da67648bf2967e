//! The callers that have begun to send unusually fast. The sweep of dispatch decides, and writes `velocity_days`.

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::MySqlConnection;

/// How long a caller is listed.
const LISTED: TimeDelta = TimeDelta::hours(24);
/// Callers that are listed, at most.
const MOST: u32 = 100;

/// A caller whose schedules of an hour had far more message parts than is usual.
#[derive(Debug, JsonSchema, Serialize)]
pub struct FastCaller {
    /// As in `created_by` of its schedules.
    created_by: String,
    /// The most parts of schedules of the caller that began within an hour of the day.
    parts_per_hour: u64,
    /// When that was found first on the day.
    exceeded_at: DateTime<Utc>,
}

/// Returns the callers of the last 24 hours, the newest first.
pub async fn fast_callers(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<FastCaller>> {
    let since = now - LISTED;
    let rows = sqlx::query_as!(
        FastCaller,
        r#"SELECT created_by, most_parts AS parts_per_hour, exceeded_at AS "exceeded_at!: DateTime<Utc>"
           FROM velocity_days FORCE INDEX (by_day) WHERE day >= ? AND exceeded_at > ? LIMIT ?"#,
        since.date_naive(),
        since,
        MOST
    );
    let mut callers = rows.fetch_all(connection).await?;
    callers.sort_unstable_by_key(|caller| Reverse(caller.exceeded_at));
    Ok(callers)
}

/// Returns an example.
pub fn example() -> Value {
    json!({"created_by": "key:0198c6c4-9f7e-7c3a-8f5e-6f7a8b9c0d1e", "parts_per_hour": 180_000, "exceeded_at": "2026-12-01T03:12:00Z"})
}
