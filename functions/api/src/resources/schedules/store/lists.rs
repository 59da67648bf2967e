//! `schedules`, page by page: ids only, in one of three orders.

use chrono::{DateTime, Utc};
use shared::schedule::status::ScheduleStatus;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Which schedules. Both bounds are of `run_at`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScheduleFilter {
    /// In this state.
    pub status: Option<ScheduleStatus>,
    /// Planned for then or later.
    pub from: Option<DateTime<Utc>>,
    /// Planned for earlier.
    pub to: Option<DateTime<Utc>>,
}

impl ScheduleFilter {
    fn bounds(self) -> (Option<&'static str>, DateTime<Utc>, DateTime<Utc>) {
        // 2000 and 2038. A bound time is a TIMESTAMP, which ends there: MariaDB finds nothing in an index below a later one.
        let (first, last) = (second(946_684_800), second(2_145_916_799));
        let (from, to) = (
            self.from.unwrap_or(first).clamp(first, last),
            self.to.unwrap_or(last).clamp(first, last),
        );
        (self.status.map(ScheduleStatus::as_str), from, to)
    }
}

fn second(unix: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(unix, 0).unwrap_or_default()
}

/// Ids of schedules older than `before`, newest first. Two statements, because each has its own index.
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
               WHERE id < ? AND run_at >= ? AND run_at < ? ORDER BY id DESC LIMIT ?"#,
            before,
            from,
            to,
            limit
        );
        return page.fetch_all(connection).await;
    };
    let page = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (by_status)
           WHERE status = ? AND id < ? AND run_at >= ? AND run_at < ? ORDER BY id DESC LIMIT ?"#,
        status,
        before,
        from,
        to,
        limit
    );
    page.fetch_all(connection).await
}

/// Ids of schedules by their planned time, the earliest first, behind `after`.
pub async fn earliest_schedules(
    connection: &mut MySqlConnection,
    filter: ScheduleFilter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: u32,
) -> sqlx::Result<Vec<Uuid>> {
    let (status, from, to) = filter.bounds();
    let (time, id) = after.unwrap_or((from, Uuid::nil()));
    let page = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (by_time)
           WHERE (run_at > ? OR (run_at = ? AND id > ?)) AND run_at >= ? AND run_at < ? AND status = COALESCE(?, status)
           ORDER BY run_at, id LIMIT ?"#,
        time,
        time,
        id,
        from,
        to,
        status,
        limit
    );
    page.fetch_all(connection).await
}

/// Likewise, the latest first, before `before`.
pub async fn latest_schedules(
    connection: &mut MySqlConnection,
    filter: ScheduleFilter,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: u32,
) -> sqlx::Result<Vec<Uuid>> {
    let (status, from, to) = filter.bounds();
    let (time, id) = before.unwrap_or((to, Uuid::max()));
    let page = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (by_time)
           WHERE (run_at < ? OR (run_at = ? AND id < ?)) AND run_at >= ? AND run_at < ? AND status = COALESCE(?, status)
           ORDER BY run_at DESC, id DESC LIMIT ?"#,
        time,
        time,
        id,
        from,
        to,
        status,
        limit
    );
    page.fetch_all(connection).await
}
