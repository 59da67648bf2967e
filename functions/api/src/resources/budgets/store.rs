//! The statements that change budgets.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::budgets::request::BudgetRequest;

/// Inserts a budget. Fails with a violation of a unique key if there is one of its scope, period and
/// unit.
pub async fn insert_budget(
    connection: &mut MySqlConnection,
    id: Uuid,
    new: &BudgetRequest,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO budgets (id, scope, period, unit, amount, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        id,
        new.scope,
        new.period.as_str(),
        new.unit.as_str(),
        new.amount,
        now,
        now
    );
    done.execute(connection).await.map(drop)
}

/// Changes the amount of a budget, which passes in progress read with their next reservation.
/// Returns whether there is the budget.
pub async fn set_amount(
    connection: &mut MySqlConnection,
    id: Uuid,
    amount: u64,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE budgets SET amount = ?, updated_at = ? WHERE id = ?",
        amount,
        now,
        id
    );
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Deletes a budget. Returns whether there was one.
pub async fn delete_budget(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query!("DELETE FROM budgets WHERE id = ?", id);
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Deletes what was counted of a budget, after the budget.
pub async fn delete_spending(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!("DELETE FROM spending WHERE budget_id = ?", id);
    done.execute(connection).await.map(drop)
}
