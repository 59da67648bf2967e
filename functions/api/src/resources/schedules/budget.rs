//! Refuses a schedule that certainly exceeds a budget, and tells a dry run about it. What is left is
//! held again at the time of sending, where other schedules may have used it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    message::phone::Phone,
    money::{
        budgets::{
            Budget, Quantities, Unit,
            period::Period,
            store::{budgets_of, creator_of, scopes_of},
        },
        costs::{PlannedRow, read_planned},
        prices::PriceTable,
    },
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

/// A budget of which less is left than a schedule needs.
#[derive(Clone, Debug)]
pub struct Excess {
    budget: Budget,
    needed: u64,
    left: u64,
}

/// What an exceeded budget does to a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BudgetEffect")]
pub enum Effect {
    /// The schedule, or the activation of the draft, is refused.
    Refuse,
    /// The schedule is sent until the budget is used up, and is paused then.
    Pause,
}

/// A budget that a schedule exceeds by what is known now.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExceededBudget {
    budget_id: Uuid,
    /// `system`, or who creates the schedule.
    scope: String,
    period: Period,
    unit: Unit,
    /// What may be used in a period: a whole number of parts, or an amount of money.
    amount: String,
    /// What is left of it in the period in which the schedule begins.
    left: String,
    /// What the schedule needs.
    needed: String,
    /// `refuse`: the schedule, or the activation of the draft, is refused. `pause`: it is sent until
    /// the budget is used up, and is paused then.
    effect: Effect,
}

impl ExceededBudget {
    /// Returns whether it refuses the schedule.
    pub fn refuses(&self) -> bool {
        self.effect == Effect::Refuse
    }
}

impl Excess {
    /// Returns what a dry run shows.
    pub fn view(self, effect: Effect) -> ExceededBudget {
        let Self {
            budget,
            needed,
            left,
        } = self;
        ExceededBudget {
            budget_id: budget.id,
            period: budget.period,
            unit: budget.unit,
            amount: budget.unit.show(budget.amount),
            left: budget.unit.show(left),
            needed: budget.unit.show(needed),
            scope: budget.scope,
            effect,
        }
    }

    fn refuse(&self) -> ApiError {
        let Self {
            budget,
            needed,
            left,
        } = self;
        let (unit, scope) = (budget.unit, &budget.scope);
        let detail = format!(
            "expected a schedule of at most {} {}, which is what is left of the budget of {scope} (budget {}, {} a {}); this one needs {}",
            unit.show(*left),
            unit.as_str(),
            budget.id,
            unit.show(budget.amount),
            budget.period.as_str(),
            unit.show(*needed),
        );
        ApiError::Refused(&problems::BUDGET_EXCEEDED, detail)
    }
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
    let creator = creator_of(connection, id).await?;
    let found = exceeded(connection, creator.as_deref(), needs(&planned), times).await?;
    match found.first() {
        Some(excess) => Err(excess.refuse()),
        None => Ok(()),
    }
}

/// Returns the budgets of which less is left than a schedule of this creator needs.
pub async fn exceeded(
    connection: &mut MySqlConnection,
    creator: Option<&str>,
    needed: Quantities,
    times: StartTimes,
) -> sqlx::Result<Vec<Excess>> {
    let scopes = scopes_of(connection, creator).await?;
    let budgets = budgets_of(connection, &scopes, times.now).await?;
    let excess = |budget: Budget| {
        let (needed, left) = (needed.of(budget.unit), left_at(&budget, times.start));
        (needed > left).then_some(Excess {
            budget,
            needed,
            left,
        })
    };
    Ok(budgets.into_iter().filter_map(excess).collect())
}

/// A schedule that is stored, and has not begun.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// `schedules.id`
    pub id: Uuid,
    /// Whether it still has to be activated.
    pub is_draft: bool,
    /// What it needs if nothing was planned, because there was neither a price nor a budget when its
    /// list was appended. Then its activation is not refused.
    pub estimated: Quantities,
}

/// Returns the budgets that a stored schedule exceeds, with their effect.
pub async fn exceeded_by(
    connection: &mut MySqlConnection,
    stored: Stored,
    times: StartTimes,
) -> sqlx::Result<Vec<ExceededBudget>> {
    let planned = read_planned(connection, stored.id).await?;
    let effect = if stored.is_draft && planned.is_some() {
        Effect::Refuse
    } else {
        Effect::Pause
    };
    let needed = planned.as_ref().map_or(stored.estimated, needs);
    let creator = creator_of(connection, stored.id).await?;
    let found = exceeded(connection, creator.as_deref(), needed, times).await?;
    Ok(found
        .into_iter()
        .map(|excess| excess.view(effect))
        .collect())
}

/// Returns what messages need, as it is planned when they are appended.
pub fn planned_for(
    prices: Option<&PriceTable>,
    messages: impl Iterator<Item = (Phone, u16)>,
) -> Quantities {
    let each = messages.map(|(phone, parts)| {
        let price = prices.and_then(|prices| prices.of(phone));
        Quantities {
            parts: parts.into(),
            micros: price.map_or(0, |price| price.micros) * u64::from(parts),
        }
    });
    each.fold(Quantities::default(), Quantities::plus)
}

const fn needs(planned: &PlannedRow) -> Quantities {
    Quantities {
        parts: planned.planned_parts,
        micros: planned.planned_micros,
    }
}

/// Returns what a schedule that begins at `start` finds left.
fn left_at(budget: &Budget, start: DateTime<Utc>) -> u64 {
    if budget.span.has_begun_before(start) {
        budget.left()
    } else {
        budget.amount
    }
}
