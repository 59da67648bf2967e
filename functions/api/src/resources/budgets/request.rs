//! The fields of requests about budgets.

use serde_json::{Value, json};
use shared::money::{
    amount::{AMOUNT, AMOUNT_PATTERN, Amount},
    budgets::{SYSTEM, Unit, period::Period},
};

use crate::http::{
    error::{ApiError, FieldError},
    fields::Fields,
};

/// Parts of a budget, at most.
const MOST_PARTS: u64 = 999_999_999;
/// The form of a scope.
const SCOPE: &str = "^(system|user:[0-9a-f-]{36}|key:[0-9a-f-]{36}|issuer:.{1,73})$";

/// A budget to create.
#[derive(Clone, Debug)]
pub struct BudgetRequest {
    pub scope: String,
    pub period: Period,
    pub unit: Unit,
    pub amount: u64,
}

impl BudgetRequest {
    /// Reads a request.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let scope = fields.text("scope");
        if scope.as_deref().is_some_and(|scope| !is_scope(scope)) {
            let expected = "expected system, or user:, key: or issuer: and an id, as in created_by";
            fields.complain("scope", "not-a-scope", expected);
        }
        fields.require("scope", "a string");
        let period = fields.choice("period", &Period::ALL, Period::as_str);
        fields.require("period", "a string");
        let unit = fields.choice("unit", &Unit::ALL, Unit::as_str);
        fields.require("unit", "a string");
        let amount = match unit {
            Some(unit) => amount(&mut fields, unit),
            // Its form follows from the unit.
            None => fields.text("amount").and(None),
        };
        fields.require("amount", "a string");
        let errors = fields.finish();
        match (scope, period, unit, amount) {
            (Some(scope), Some(period), Some(unit), Some(amount)) if errors.is_empty() => {
                Ok(Self {
                    scope,
                    period,
                    unit,
                    amount,
                })
            }
            _ => Err(ApiError::invalid(errors)),
        }
    }
}

/// Reads the amount of a budget.
fn amount(fields: &mut Fields<'_>, unit: Unit) -> Option<u64> {
    let given = fields.text("amount")?;
    match parse_amount(&given, unit) {
        Ok(amount) => Some(amount),
        Err(error) => {
            fields.complain("amount", error.code, error.detail);
            None
        }
    }
}

/// Parses the amount of a budget.
pub fn parse_amount(given: &str, unit: Unit) -> Result<u64, FieldError> {
    let amount = match unit {
        Unit::Money => given.parse::<Amount>().ok().map(|Amount(micros)| micros),
        Unit::Parts => {
            let is_number = given.bytes().all(|byte| byte.is_ascii_digit());
            let parts = given.parse().ok().filter(|parts| *parts <= MOST_PARTS);
            parts.filter(|_| is_number)
        }
    };
    amount.ok_or_else(|| {
        let expected = match unit {
            Unit::Money => format!("expected {AMOUNT}"),
            Unit::Parts => format!("expected a whole number up to {MOST_PARTS}"),
        };
        FieldError::new("amount", "not-an-amount", expected)
    })
}

fn is_scope(scope: &str) -> bool {
    let is_id = |id: &str| uuid::Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == id);
    match scope.split_once(':') {
        None => scope == SYSTEM,
        Some(("user" | "key", id)) => is_id(id),
        Some(("issuer", rest)) => (1..=73).contains(&rest.len()) && !rest.contains('\n'),
        Some(_) => false,
    }
}

/// Returns the schema of an amount.
pub fn amount_schema() -> Value {
    json!({"type": "string", "pattern": AMOUNT_PATTERN, "description": "The most of a period: a whole number of parts, or an amount of money."})
}

/// Returns the schema of a scope.
pub fn scope_schema() -> Value {
    json!({"type": "string", "pattern": SCOPE, "description": "`system`: all that is sent; `user:ID` or `key:ID`: what this creator has scheduled, as in `created_by`. What keys of a person send counts for the person too."})
}
