//! A budget in an answer.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::money::budgets::{Budget, Unit, period::Period};
use uuid::Uuid;

use crate::http::error::ApiError;

/// A budget, and its use in the present period.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Budget")]
pub struct BudgetView {
    id: Uuid,
    /// `system`: all that is sent; else who creates the schedules, as in their `created_by`.
    scope: String,
    period: Period,
    unit: Unit,
    /// What may be used in a period: a whole number of parts, or an amount of money.
    amount: String,
    /// What was used of it in the present period, including what is being sent.
    used: String,
    /// What is left of it.
    left: String,
    /// The share of the amount that was used, in percent, rounded down.
    used_percent: u64,
    /// When the present period began.
    period_start: DateTime<Utc>,
    /// When the next one begins.
    period_end: DateTime<Utc>,
    /// When 80 percent were used first in the present period.
    warned_at: Option<DateTime<Utc>>,
    /// When a message did not fit first in the present period.
    reached_at: Option<DateTime<Utc>>,
}

impl From<&Budget> for BudgetView {
    fn from(budget: &Budget) -> Self {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let used = budget.used.unwrap_or(0);
        let percent = u128::from(used) * 100 / u128::from(budget.amount.max(1));
        Self {
            id: budget.id,
            scope: budget.scope.clone(),
            period: budget.period,
            unit: budget.unit,
            amount: budget.unit.show(budget.amount),
            used: budget.unit.show(used),
            left: budget.unit.show(budget.left()),
            used_percent: u64::try_from(percent).unwrap_or(u64::MAX),
            period_start: midnight(budget.span.start),
            period_end: midnight(budget.span.end),
            warned_at: budget.warned_at,
            reached_at: budget.reached_at,
        }
    }
}

/// Parses the id in a path.
pub fn parse_id(id: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(id).map_err(|_| no_such_budget())
}

/// Returns the error for a budget that does not exist, or is not the caller's.
pub fn no_such_budget() -> ApiError {
    ApiError::NotFound("there is no budget with this id".to_owned())
}

/// Returns an example.
pub fn example() -> Value {
    json!({
        "id": "0198c6c4-9f7e-7c3a-8f5e-6f7a8b9c0d2f", "scope": "system", "period": "day", "unit": "parts", "amount": "100000", "used": "81250",
        "left": "18750", "used_percent": 81, "period_start": "2026-12-01T00:00:00Z", "period_end": "2026-12-02T00:00:00Z",
        "warned_at": "2026-12-01T14:30:00Z", "reached_at": null,
    })
}
