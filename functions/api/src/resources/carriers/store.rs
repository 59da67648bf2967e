//! `carriers` and `carrier_limits`, as they are shown and configured.

use chrono::{DateTime, Utc};
use shared::{carrier::capacity::LimitKey, schedule::priority::Priority};
use sqlx::MySqlConnection;

/// A row of `carriers`.
#[derive(Clone, Debug)]
pub struct CarrierRow {
    pub progress_at: Option<DateTime<Utc>>,
    pub outage_from: Option<DateTime<Utc>>,
    pub outage_until: Option<DateTime<Utc>>,
}

/// A row of `carrier_limits`.
#[derive(Clone, Debug)]
pub struct LimitRow {
    pub kind: String,
    pub per_second: Option<u32>,
    pub requests_per_second: Option<u32>,
    pub learned_per_second: Option<f64>,
    pub granted_at_us: u64,
    pub free_at_us: u64,
    pub requests_free_at_us: u64,
    pub blocked_until_us: u64,
    pub response_us: u64,
}

/// What waits of one priority.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// The priority.
    pub priority: Priority,
    /// Batches.
    pub batches: u64,
    /// Their message parts.
    pub parts: u64,
}

/// The configured values of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// Units per second; `None`: the default of the deployment, or learned.
    pub per_second: Option<u32>,
    /// HTTP requests per second; `None`: the default of the deployment.
    pub requests_per_second: Option<u32>,
}

/// Reads a carrier.
pub async fn read_carrier(
    connection: &mut MySqlConnection,
    name: &str,
) -> sqlx::Result<Option<CarrierRow>> {
    sqlx::query_as!(
        CarrierRow,
        r#"SELECT progress_at AS "progress_at: DateTime<Utc>", outage_from AS "outage_from: DateTime<Utc>",
             outage_until AS "outage_until: DateTime<Utc>"
           FROM carriers WHERE name = ?"#,
        name
    )
    .fetch_optional(connection)
    .await
}

/// Reads the limits of a carrier.
pub async fn read_limits(
    connection: &mut MySqlConnection,
    carrier: &str,
) -> sqlx::Result<Vec<LimitRow>> {
    sqlx::query_as!(
        LimitRow,
        "SELECT kind, per_second, requests_per_second, learned_per_second, granted_at_us, free_at_us, requests_free_at_us,
           blocked_until_us, response_us
         FROM carrier_limits WHERE carrier = ?",
        carrier
    )
    .fetch_all(connection)
    .await
}

/// Reads what is configured of a limit, and locks it until the transaction ends.
pub async fn lock_configured(
    connection: &mut MySqlConnection,
    key: LimitKey,
) -> sqlx::Result<Option<Configured>> {
    sqlx::query_as!(
        Configured,
        "SELECT per_second, requests_per_second FROM carrier_limits WHERE carrier = ? AND kind = ? FOR UPDATE",
        key.carrier,
        key.kind.as_str()
    )
    .fetch_optional(connection)
    .await
}

/// Configures a limit. Workers read it with their next request. What was booked ahead by the old
/// limit is forgotten: a request of a hundred parts at one part per second would otherwise block the
/// carrier for a hundred seconds after the limit was raised.
pub async fn configure(
    connection: &mut MySqlConnection,
    key: LimitKey,
    limit: Configured,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let now_us = now.timestamp_micros().max(0) as u64;
    let done = sqlx::query!(
        "UPDATE carrier_limits SET per_second = ?, requests_per_second = ?, free_at_us = LEAST(free_at_us, ?),
           requests_free_at_us = LEAST(requests_free_at_us, ?)
         WHERE carrier = ? AND kind = ?",
        limit.per_second,
        limit.requests_per_second,
        now_us,
        now_us,
        key.carrier,
        key.kind.as_str()
    );
    done.execute(connection).await.map(drop)
}

/// Counts the batches of running schedules that wait for their turn at a carrier, by priority.
///
/// A schedule with such batches has a turn. Its batches are read in the order of the primary key,
/// which is several times as fast as by the index of waiting batches.
pub async fn waiting_by_priority(
    connection: &mut MySqlConnection,
    carrier: &str,
) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query_as!(
        Waiting,
        r#"SELECT s.priority AS "priority: Priority", CAST(COUNT(*) AS UNSIGNED) AS "batches!: u64",
             CAST(SUM(b.pending * s.parts) AS UNSIGNED) AS "parts!: u64"
           FROM turns t STRAIGHT_JOIN schedules s ON s.id = t.schedule_id
             STRAIGHT_JOIN batches b FORCE INDEX (PRIMARY) ON b.schedule_id = s.id
           WHERE t.carrier = ? AND s.status = 'running' AND b.waiting = 1 GROUP BY s.priority"#,
        carrier
    )
    .fetch_all(connection)
    .await
}
