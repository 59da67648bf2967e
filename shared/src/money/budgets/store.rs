//! The statements of budgets. Each is a transaction of its own and locks one row, so that passes
//! wait for each other only for one statement, and never in a circle.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    Budget, SYSTEM, Unit,
    period::{Period, Span},
};
use crate::platform::db::Db;

/// A row of `budgets` with that of `spending`.
struct Row {
    id: Uuid,
    scope: String,
    period: Period,
    unit: Unit,
    amount: u64,
    used: Option<u64>,
    warned_at: Option<DateTime<Utc>>,
    reached_at: Option<DateTime<Utc>>,
}

/// The present periods.
#[derive(Clone, Copy)]
struct Present {
    day: Span,
    month: Span,
}

impl Present {
    fn at(now: DateTime<Utc>) -> Self {
        Self {
            day: Period::Day.span_of(now),
            month: Period::Month.span_of(now),
        }
    }

    fn budget(self, row: Row) -> Budget {
        let span = match row.period {
            Period::Day => self.day,
            Period::Month => self.month,
        };
        Budget {
            id: row.id,
            scope: row.scope,
            period: row.period,
            unit: row.unit,
            amount: row.amount,
            span,
            used: row.used,
            warned_at: row.warned_at,
            reached_at: row.reached_at,
        }
    }
}

/// Returns the scopes whose budgets apply to what a creator sends: all that is sent, the creator,
/// and the person whose key it is.
pub async fn scopes_of(
    connection: &mut MySqlConnection,
    created_by: Option<&str>,
) -> sqlx::Result<Vec<String>> {
    let mut scopes = vec![SYSTEM.to_owned()];
    let Some(created_by) = created_by else {
        return Ok(scopes);
    };
    scopes.push(created_by.to_owned());
    let key = created_by.strip_prefix("key:");
    if let Some(key) = key.and_then(|key| Uuid::parse_str(key).ok()) {
        let person = sqlx::query_scalar!(
            r#"SELECT user_id AS "user_id: Uuid" FROM api_keys WHERE id = ?"#,
            key
        );
        let person = person.fetch_optional(connection).await?.flatten();
        scopes.extend(person.map(|person| format!("user:{person}")));
    }
    Ok(scopes)
}

/// Returns the budgets of scopes, in a fixed order, with their use in the present period.
pub async fn budgets_of(
    connection: &mut MySqlConnection,
    scopes: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Budget>> {
    let present = Present::at(now);
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT b.id AS "id: Uuid", b.scope, b.period AS "period: Period", b.unit AS "unit: Unit", b.amount, s.used AS "used?",
             s.warned_at AS "warned_at?: DateTime<Utc>", s.reached_at AS "reached_at?: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (scope VARCHAR(80) PATH '$')) j
           STRAIGHT_JOIN budgets b FORCE INDEX (once) ON b.scope = j.scope COLLATE utf8mb4_unicode_520_ci
           LEFT JOIN spending s ON s.budget_id = b.id AND s.period_start = IF(b.period = 'day', ?, ?)"#,
        serde_json::json!(scopes).to_string(),
        present.day.start,
        present.month.start
    );
    let rows = rows.fetch_all(connection).await?;
    let mut budgets: Vec<_> = rows.into_iter().map(|row| present.budget(row)).collect();
    budgets.sort_unstable_by_key(|budget| budget.id);
    Ok(budgets)
}

/// Returns all budgets, with their use in the present period.
pub async fn all_budgets(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Budget>> {
    let present = Present::at(now);
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT b.id AS "id: Uuid", b.scope, b.period AS "period: Period", b.unit AS "unit: Unit", b.amount, s.used AS "used?",
             s.warned_at AS "warned_at?: DateTime<Utc>", s.reached_at AS "reached_at?: DateTime<Utc>"
           FROM budgets b LEFT JOIN spending s ON s.budget_id = b.id AND s.period_start = IF(b.period = 'day', ?, ?)"#,
        present.day.start,
        present.month.start
    );
    let rows = rows.fetch_all(connection).await?;
    let mut budgets: Vec<_> = rows.into_iter().map(|row| present.budget(row)).collect();
    budgets.sort_unstable_by(|one, other| {
        (&one.scope, one.period, one.unit).cmp(&(&other.scope, other.period, other.unit))
    });
    Ok(budgets)
}

/// Creates the row of a budget for a period, unless there is one.
pub async fn begin_period(db: &Db, id: Uuid, start: NaiveDate) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO spending (budget_id, period_start) VALUES (?, ?) ON DUPLICATE KEY UPDATE used = used",
        id,
        start
    );
    done.execute(db).await.map(drop)
}

/// Reserves `quantity` of a budget, if so much is left. Returns what is used afterwards.
pub async fn reserve(db: &Db, budget: &Budget, quantity: u64) -> sqlx::Result<Option<u64>> {
    let done = sqlx::query!(
        // The amount is read with the same statement: a budget that was lowered holds at once.
        "UPDATE spending SET used = LAST_INSERT_ID(used + ?)
         WHERE budget_id = ? AND period_start = ? AND used + ? <= (SELECT b.amount FROM budgets b WHERE b.id = ?)",
        quantity,
        budget.id,
        budget.span.start,
        quantity,
        budget.id
    );
    let done = done.execute(db).await?;
    Ok((done.rows_affected() > 0).then(|| done.last_insert_id()))
}

/// Gives back what was reserved of a budget and not used. Returns what is used afterwards.
pub async fn give_back(db: &Db, budget: &Budget, quantity: u64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE spending SET used = LAST_INSERT_ID(GREATEST(used, ?) - ?) WHERE budget_id = ? AND period_start = ?",
        quantity,
        quantity,
        budget.id,
        budget.span.start
    );
    Ok(done.execute(db).await?.last_insert_id())
}

/// Notes that a budget warns; returns whether it is the first time in its period.
pub async fn note_warning(
    connection: &mut MySqlConnection,
    budget: &Budget,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE spending SET warned_at = ? WHERE budget_id = ? AND period_start = ? AND warned_at IS NULL",
        now,
        budget.id,
        budget.span.start
    );
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Notes that a message did not fit into a budget; returns whether it is the first time in its
/// period.
pub async fn note_reached(
    connection: &mut MySqlConnection,
    budget: &Budget,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE spending SET reached_at = ? WHERE budget_id = ? AND period_start = ? AND reached_at IS NULL",
        now,
        budget.id,
        budget.span.start
    );
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Reads who created a schedule, as `schedules.created_by` has it.
pub async fn creator_of(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
) -> sqlx::Result<Option<String>> {
    let creator = sqlx::query_scalar!("SELECT created_by FROM schedules WHERE id = ?", schedule_id);
    Ok(creator.fetch_optional(connection).await?.flatten())
}
