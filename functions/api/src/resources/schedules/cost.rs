//! What a schedule is planned to cost, and what it has cost so far.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::money::{
    amount::Amount,
    costs::{Cost, PlannedRow, prices_of, read_planned, read_spent},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// What a schedule costs.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ScheduleCost {
    /// The currency (ISO 4217).
    currency: String,
    /// The version of its prices: the one that was current when it began, or is now.
    prices_version: u32,
    /// The cost of its lists, as they were appended, if each message is sent once.
    planned: Amount,
    /// Message parts of its lists.
    planned_parts: u64,
    /// Recipients without a price when they were appended: their cost is not in `planned`.
    planned_unpriced: u32,
    /// The cost of what was sent so far. It is counted when a worker's pass over a batch ends;
    /// resends count again.
    spent: Amount,
    /// Message parts that were sent so far.
    spent_parts: u64,
    /// Those to numbers without a price: their cost is not in `spent`.
    spent_unpriced_parts: u64,
}

impl ScheduleCost {
    /// Reads what a schedule costs; `None` if it has no prices.
    pub async fn read(
        connection: &mut MySqlConnection,
        id: Uuid,
        is_cut: bool,
    ) -> sqlx::Result<Option<Self>> {
        let Some(list) = prices_of(connection, id, is_cut).await? else {
            return Ok(None);
        };
        let planned = read_planned(connection, id).await?;
        let spent = if is_cut {
            read_spent(connection, id).await?
        } else {
            Cost::default()
        };
        let of_planned = |value: fn(&_) -> u64| planned.as_ref().map_or(0, value);
        Ok(Some(Self {
            currency: list.currency,
            prices_version: list.version,
            planned: Amount(of_planned(|row: &PlannedRow| row.planned_micros)),
            planned_parts: of_planned(|row| row.planned_parts),
            planned_unpriced: planned.as_ref().map_or(0, |row| row.planned_unpriced),
            spent: Amount(spent.micros),
            spent_parts: spent.parts,
            spent_unpriced_parts: spent.unpriced_parts,
        }))
    }
}

/// Returns an example.
pub fn example() -> Value {
    json!({"currency": "EUR", "prices_version": 7, "planned": "0.10", "planned_parts": 2, "planned_unpriced": 0, "spent": "0.05", "spent_parts": 1, "spent_unpriced_parts": 0})
}
