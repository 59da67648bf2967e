//! Refuses a schedule that certainly exceeds a budget. What is left is held again at the time of
//! sending, where other schedules may have used it.

use chrono::{DateTime, Utc};
use shared::money::{
    budgets::{
        Budget, Quantities,
        store::{budgets_of, creator_of, scopes_of},
    },
    costs::read_planned,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::http::{error::ApiError, problems};

/// When a schedule begins, and the time now.
#[derive(Clone, Copy, Debug)]
pub struct StartTimes {
    /// When it begins.
    pub start: DateTime<Utc>,
    /// The time now.
    pub now: DateTime<Utc>,
}

/// Returns an error if a schedule that begins then needs more than is left of a budget in the
/// present period, or more than the whole budget if it begins in a later one.
pub async fn refuse_beyond(
    connection: &mut MySqlConnection,
    id: Uuid,
    times: StartTimes,
) -> Result<(), ApiError> {
    let Some(planned) = read_planned(connection, id).await? else {
        return Ok(());
    };
    let needed = Quantities {
        parts: planned.planned_parts,
        micros: planned.planned_micros,
    };
    let creator = creator_of(connection, id).await?;
    let scopes = scopes_of(connection, creator.as_deref()).await?;
    let budgets = budgets_of(connection, &scopes, times.now).await?;
    for budget in &budgets {
        let needed = needed.of(budget.unit);
        let left = left_at(budget, times.start);
        if needed > left {
            return Err(exceeded(budget, needed, left));
        }
    }
    Ok(())
}

/// Returns what a schedule that begins at `start` finds left.
fn left_at(budget: &Budget, start: DateTime<Utc>) -> u64 {
    if budget.span.has_begun_before(start) {
        budget.left()
    } else {
        budget.amount
    }
}

fn exceeded(budget: &Budget, needed: u64, left: u64) -> ApiError {
    let (unit, scope) = (budget.unit, &budget.scope);
    let detail = format!(
        "expected a schedule of at most {} {}, which is what is left of the budget of {scope} (budget {}, {} a {}); this one needs {}",
        unit.show(left),
        unit.as_str(),
        budget.id,
        unit.show(budget.amount),
        budget.period.as_str(),
        unit.show(needed),
    );
    ApiError::Refused(&problems::BUDGET_EXCEEDED, detail)
}
