//! `schedules`, page by page: ids only, in one of three orders.

use chrono::{DateTime, Utc};
use shared::schedule::{priority::Priority, status::ScheduleStatus};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Selects schedules. Both bounds apply to `run_at`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScheduleFilter {
    /// In this state.
    pub status: Option<ScheduleStatus>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// Planned for this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Planned for before this time.
    pub to: Option<DateTime<Utc>>,
}

impl ScheduleFilter {
    /// Returns the priority as the column holds it.
    pub(super) fn priority(self) -> Option<&'static str> {
        self.priority.map(Priority::as_str)
    }

    /// Returns the state, and the bounds of `run_at`.
    pub(super) fn bounds(self) -> (Option<&'static str>, DateTime<Utc>, DateTime<Utc>) {
        // 2000 and 2038. A bound time is a TIMESTAMP, whose range ends there: below a later time
        // MariaDB finds nothing in an index.
        let (first, last) = (
            time_of_unix_seconds(946_684_800),
            time_of_unix_seconds(2_145_916_799),
        );
        let (from, to) = (
            self.from.unwrap_or(first).clamp(first, last),
            self.to.unwrap_or(last).clamp(first, last),
        );
        (self.status.map(ScheduleStatus::as_str), from, to)
    }
}

fn time_of_unix_seconds(unix: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(unix, 0).unwrap_or_default()
}

/// The position of a schedule in a list that is ordered by planned time.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct SchedulePosition {
    pub id: Uuid,
    pub run_at: DateTime<Utc>,
}

/// Returns ids of schedules older than `before`, newest first. There are two statements, because
/// each has its own index.
pub async fn page_of_schedules(
    connection: &mut MySqlConnection,
    filter: ScheduleFilter,
    before: Uuid,
    limit: u32,
) -> sqlx::Result<Vec<Uuid>> {
    let (status, from, to) = filter.bounds();
    let Some(status) = status else {
        let page = sqlx::query_scalar!(
            r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (PRIMARY)
               WHERE id < ? AND run_at >= ? AND run_at < ? AND priority = COALESCE(?, priority)
               ORDER BY id DESC LIMIT ?"#,
            before,
            from,
            to,
            filter.priority(),
            limit
        );
        return page.fetch_all(connection).await;
    };
    let page = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (by_status)
           WHERE status = ? AND id < ? AND run_at >= ? AND run_at < ? AND priority = COALESCE(?, priority)
           ORDER BY id DESC LIMIT ?"#,
        status,
        before,
        from,
        to,
        filter.priority(),
        limit
    );
    page.fetch_all(connection).await
}

/// Returns ids of schedules by their planned time, the earliest first, after `after`.
pub async fn earliest_schedules(
    connection: &mut MySqlConnection,
    filter: ScheduleFilter,
    after: Option<SchedulePosition>,
    limit: u32,
) -> sqlx::Result<Vec<Uuid>> {
    let (status, from, to) = filter.bounds();
    let after = after.unwrap_or(SchedulePosition {
        id: Uuid::nil(),
        run_at: from,
    });
    let page = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (by_time)
           WHERE (run_at > ? OR (run_at = ? AND id > ?)) AND run_at >= ? AND run_at < ? AND status = COALESCE(?, status)
             AND priority = COALESCE(?, priority)
           ORDER BY run_at, id LIMIT ?"#,
        after.run_at,
        after.run_at,
        after.id,
        from,
        to,
        status,
        filter.priority(),
        limit
    );
    page.fetch_all(connection).await
}

/// Returns ids of schedules by their planned time, the latest first, before `before`.
pub async fn latest_schedules(
    connection: &mut MySqlConnection,
    filter: ScheduleFilter,
    before: Option<SchedulePosition>,
    limit: u32,
) -> sqlx::Result<Vec<Uuid>> {
    let (status, from, to) = filter.bounds();
    let before = before.unwrap_or(SchedulePosition {
        id: Uuid::max(),
        run_at: to,
    });
    let page = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (by_time)
           WHERE (run_at < ? OR (run_at = ? AND id < ?)) AND run_at >= ? AND run_at < ? AND status = COALESCE(?, status)
             AND priority = COALESCE(?, priority)
           ORDER BY run_at DESC, id DESC LIMIT ?"#,
        before.run_at,
        before.run_at,
        before.id,
        from,
        to,
        status,
        filter.priority(),
        limit
    );
    page.fetch_all(connection).await
}
