//! Removes numbers and texts from old rows of the audit log, which releases before wrote. The
//! functions' own user can change no row of it.

use std::time::{Duration, Instant};

use anyhow::Context;
use shared::access::audit::without_personal_data;
use sqlx::{FromRow, MySqlConnection, types::Uuid};

/// Rows that are read at a time.
const PAGE: u32 = 500;
/// The rest is left to the next run.
const CLEAN_FOR: Duration = Duration::from_secs(60);
/// What replaces a number in the name of a resource. Which number it was is in no key any more.
const ERASED: &str = "suppression:erased";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    resource: String,
    state_before: Option<String>,
    state_after: Option<String>,
}

impl Row {
    /// Returns the row without numbers and texts, or `None` if it has none.
    fn cleaned(&self) -> Option<Self> {
        let clean = |state: &Option<String>| {
            let state = state.as_deref();
            state.map(|state| without_personal_data(state).into_owned())
        };
        let names_number = self.resource.starts_with("suppression:+");
        let cleaned = Self {
            id: self.id,
            resource: if names_number {
                ERASED.to_owned()
            } else {
                self.resource.clone()
            },
            state_before: clean(&self.state_before),
            state_after: clean(&self.state_after),
        };
        let is_changed = names_number
            || cleaned.state_before != self.state_before
            || cleaned.state_after != self.state_after;
        is_changed.then_some(cleaned)
    }
}

/// Cleans the rows that need it, and returns their number. If it runs twice, the second run finds
/// none.
pub async fn clean(connection: &mut MySqlConnection) -> anyhow::Result<u64> {
    let (begun, mut after, mut changed) = (Instant::now(), Uuid::nil(), 0);
    while begun.elapsed() < CLEAN_FOR {
        let rows = rows_after(connection, after)
            .await
            .context("reading the audit log")?;
        for row in rows.iter().filter_map(Row::cleaned) {
            changed += write(connection, &row)
                .await
                .context("cleaning the audit log")?;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE as usize => after = last.id,
            _ => break,
        }
    }
    Ok(changed)
}

async fn rows_after(connection: &mut MySqlConnection, after: Uuid) -> sqlx::Result<Vec<Row>> {
    let sql = r#"SELECT id, resource, state_before, state_after FROM audit_log
        WHERE id > ? AND (resource LIKE 'suppression:+%' OR state_before LIKE '%"message":%' OR state_after LIKE '%"message":%'
          OR state_before LIKE '%"reason":%' OR state_after LIKE '%"reason":%') ORDER BY id LIMIT ?"#;
    let rows = sqlx::query_as(sql).bind(after).bind(PAGE);
    rows.fetch_all(connection).await
}

async fn write(connection: &mut MySqlConnection, row: &Row) -> sqlx::Result<u64> {
    let sql = "UPDATE audit_log SET resource = ?, state_before = ?, state_after = ? WHERE id = ?";
    let done = sqlx::query(sql)
        .bind(&row.resource)
        .bind(&row.state_before)
        .bind(&row.state_after)
        .bind(row.id);
    Ok(done.execute(connection).await?.rows_affected())
}
