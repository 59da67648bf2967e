//! `schedule_labels`, and the schedules that are found by what they are called.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::schedules::store::lists::{ScheduleFilter, SchedulePosition};

/// The schedules of one label, reference or search that are found at most, the newest.
pub const MOST_FOUND: u32 = 100_000;

/// Writes what a schedule is called; the labels as the JSON array of the column.
pub async fn write_names(
    connection: &mut MySqlConnection,
    id: Uuid,
    name: Option<&str>,
    reference: Option<&str>,
    labels: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedules SET name = ?, reference = ?, labels = ? WHERE id = ?",
        name,
        reference,
        labels,
        id
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM schedule_labels WHERE schedule_id = ?", id)
        .execute(&mut *connection)
        .await?;
    let Some(labels) = labels else {
        return Ok(());
    };
    sqlx::query!(
        "INSERT INTO schedule_labels (label, schedule_id)
         SELECT j.label, ? FROM JSON_TABLE(?, '$[*]' COLUMNS (label VARCHAR(64) PATH '$')) j
         ON DUPLICATE KEY UPDATE label = schedule_labels.label -- equal but for upper and lower case",
        id,
        labels
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What selects schedules by what they are called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Called<'a> {
    /// With this label.
    pub label: Option<&'a str>,
    /// With this reference.
    pub reference: Option<&'a str>,
    /// With this text in their name, reference or labels, in upper or lower case.
    pub search: Option<&'a str>,
}

impl Called<'_> {
    /// Returns whether nothing is selected by.
    pub const fn is_empty(&self) -> bool {
        self.label.is_none() && self.reference.is_none() && self.search.is_none()
    }

    /// Returns the search as a pattern of LIKE.
    fn pattern(&self) -> String {
        let mut pattern = String::from("%");
        for character in self.search.unwrap_or_default().chars() {
            if matches!(character, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        if pattern.len() > 1 {
            pattern.push('%');
        }
        pattern
    }
}

struct Found {
    id: Uuid,
    run_at: DateTime<Utc>,
}

/// Returns the schedules that are called so, in any order. Without a label and a reference it looks
/// at the newest [`MOST_FOUND`] of all schedules.
pub async fn find_called(
    connection: &mut MySqlConnection,
    called: Called<'_>,
    filter: ScheduleFilter,
) -> sqlx::Result<Vec<SchedulePosition>> {
    let found = match (called.label, called.reference) {
        (Some(label), _) => find_labelled(connection, label, called, filter).await?,
        (None, Some(reference)) => find_referenced(connection, reference, called, filter).await?,
        (None, None) => search_newest(connection, called, filter).await?,
    };
    Ok(found
        .into_iter()
        .map(|Found { id, run_at }| SchedulePosition { id, run_at })
        .collect())
}

async fn find_labelled(
    connection: &mut MySqlConnection,
    label: &str,
    called: Called<'_>,
    filter: ScheduleFilter,
) -> sqlx::Result<Vec<Found>> {
    let (status, from, to) = filter.bounds();
    sqlx::query_as!(
        Found,
        r#"SELECT s.id AS "id: Uuid", s.run_at AS "run_at: DateTime<Utc>"
           FROM schedule_labels l FORCE INDEX (PRIMARY) STRAIGHT_JOIN schedules s ON s.id = l.schedule_id
           WHERE l.label = ? AND (? IS NULL OR s.reference = ?) AND s.status = COALESCE(?, s.status) AND s.priority = COALESCE(?, s.priority)
             AND s.run_at >= ? AND s.run_at < ?
             AND CONCAT_WS(' ', s.name, s.reference, s.labels) LIKE ?
           ORDER BY l.schedule_id DESC LIMIT ?"#,
        label,
        called.reference,
        called.reference,
        status,
        filter.priority(),
        from,
        to,
        called.pattern(),
        MOST_FOUND
    )
    .fetch_all(connection)
    .await
}

async fn find_referenced(
    connection: &mut MySqlConnection,
    reference: &str,
    called: Called<'_>,
    filter: ScheduleFilter,
) -> sqlx::Result<Vec<Found>> {
    let (status, from, to) = filter.bounds();
    sqlx::query_as!(
        Found,
        r#"SELECT id AS "id: Uuid", run_at AS "run_at: DateTime<Utc>" FROM schedules FORCE INDEX (by_reference)
           WHERE reference = ? AND status = COALESCE(?, status) AND priority = COALESCE(?, priority) AND run_at >= ? AND run_at < ?
             AND CONCAT_WS(' ', name, reference, labels) LIKE ?
           ORDER BY id DESC LIMIT ?"#,
        reference,
        status,
        filter.priority(),
        from,
        to,
        called.pattern(),
        MOST_FOUND
    )
    .fetch_all(connection)
    .await
}

async fn search_newest(
    connection: &mut MySqlConnection,
    called: Called<'_>,
    filter: ScheduleFilter,
) -> sqlx::Result<Vec<Found>> {
    let (status, from, to) = filter.bounds();
    sqlx::query_as!(
        Found,
        r#"SELECT s.id AS "id: Uuid", s.run_at AS "run_at: DateTime<Utc>"
           FROM (SELECT id FROM schedules FORCE INDEX (PRIMARY) ORDER BY id DESC LIMIT ?) n STRAIGHT_JOIN schedules s ON s.id = n.id
           WHERE s.status = COALESCE(?, s.status) AND s.priority = COALESCE(?, s.priority) AND s.run_at >= ? AND s.run_at < ?
             AND CONCAT_WS(' ', s.name, s.reference, s.labels) LIKE ?"#,
        MOST_FOUND,
        status,
        filter.priority(),
        from,
        to,
        called.pattern()
    )
    .fetch_all(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_taken_literally() {
        let pattern = |search| {
            Called {
                search,
                ..Called::default()
            }
            .pattern()
        };
        assert_eq!(pattern(None), "%");
        assert_eq!(pattern(Some("Penang")), "%Penang%");
        assert_eq!(pattern(Some(r"50%_\")), r"%50\%\_\\%");
    }
}
