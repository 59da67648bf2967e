//! Budgets: how many parts, or how much money, may be sent in a day or a month.
//!
//! A pass *reserves* what it is going to mark before the mark, and gives back at its end what it has
//! not used. So what was sent never exceeds a budget: a crash leaves a reservation counted, never a
//! message uncounted.

pub mod event;
pub mod period;
pub mod store;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use self::period::{Period, Span};
use super::amount::Amount;

/// The scope of a budget for all that is sent.
pub const SYSTEM: &str = "system";
/// A budget warns when so many percent of it are used.
pub const WARN_AT_PERCENT: u64 = 80;

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
#[schemars(rename = "BudgetUnit")]
pub enum Unit {
    /// Message parts.
    Parts,
    /// Their cost.
    Money,
}

impl Unit {
    /// Each unit.
    pub const ALL: [Self; 2] = [Self::Parts, Self::Money];

    /// Returns the value in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parts => "parts",
            Self::Money => "money",
        }
    }

    /// Returns a quantity of this unit as text: a whole number, or an amount.
    pub fn show(self, quantity: u64) -> String {
        match self {
            Self::Parts => quantity.to_string(),
            Self::Money => Amount(quantity).to_string(),
        }
    }
}

/// Parts and their cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantities {
    /// Message parts.
    pub parts: u64,
    /// Millionths of the currency unit.
    pub micros: u64,
}

impl Quantities {
    /// Returns what a budget of this unit counts.
    pub const fn of(self, unit: Unit) -> u64 {
        match unit {
            Unit::Parts => self.parts,
            Unit::Money => self.micros,
        }
    }

    /// Returns the sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            parts: self.parts + other.parts,
            micros: self.micros + other.micros,
        }
    }

    /// Returns what is left of it after `used`.
    #[must_use]
    pub const fn minus(self, used: Self) -> Self {
        Self {
            parts: self.parts.saturating_sub(used.parts),
            micros: self.micros.saturating_sub(used.micros),
        }
    }
}

/// A budget, and its use in the present period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// `budgets.id`
    pub id: Uuid,
    /// `budgets.scope`
    pub scope: String,
    /// `budgets.period`
    pub period: Period,
    /// `budgets.unit`
    pub unit: Unit,
    /// `budgets.amount`
    pub amount: u64,
    /// The present period.
    pub span: Span,
    /// What was used of it; `None`: nothing yet, there is no row.
    pub used: Option<u64>,
    /// When it warned first.
    pub warned_at: Option<DateTime<Utc>>,
    /// When a message did not fit first.
    pub reached_at: Option<DateTime<Utc>>,
}

impl Budget {
    /// Returns what may still be used in the present period.
    pub fn left(&self) -> u64 {
        self.amount.saturating_sub(self.used.unwrap_or(0))
    }

    /// Returns whether `used` of it is so much that it warns.
    pub const fn warns_at(&self, used: u64) -> bool {
        used as u128 * 100 >= self.amount as u128 * WARN_AT_PERCENT as u128
    }

    /// Returns why nothing more is sent, for `schedules.pause_reason`.
    pub fn reason(&self) -> String {
        let (used, amount) = (self.used.unwrap_or(0), self.amount);
        let text = format!(
            "budget of {}: {} of {} {} used this {}, until {} UTC",
            self.scope,
            self.unit.show(used),
            self.unit.show(amount),
            self.unit.as_str(),
            self.period.as_str(),
            self.span.end,
        );
        // The width of the column.
        text.chars().take(128).collect()
    }
}

/// Returns how many of these, in their order, fit into the budgets.
pub fn fitting(budgets: &[Budget], each: &[Quantities]) -> usize {
    let mut sum = Quantities::default();
    let fits = |sum: Quantities| {
        let mut budgets = budgets.iter();
        budgets.all(|budget| sum.of(budget.unit) <= budget.left())
    };
    each.iter()
        .take_while(|next| {
            sum = sum.plus(**next);
            fits(sum)
        })
        .count()
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn budget(unit: Unit, amount: u64, used: u64) -> Budget {
        let day = NaiveDate::from_ymd_opt(2027, 1, 31).unwrap();
        Budget {
            id: Uuid::nil(),
            scope: "key:0190a0b0-c0d0-7080-8000-00000000000e".to_owned(),
            period: Period::Day,
            unit,
            amount,
            span: Period::Day.span_of(day.and_hms_opt(9, 0, 0).unwrap().and_utc()),
            used: Some(used),
            warned_at: None,
            reached_at: None,
        }
    }

    #[test]
    fn what_fits_is_within_every_budget() {
        let each = [Quantities {
            parts: 2,
            micros: 30,
        }; 10];
        let parts = budget(Unit::Parts, 11, 0);
        let money = budget(Unit::Money, 100, 5);
        assert_eq!(fitting(&[], &each), 10);
        assert_eq!(fitting(std::slice::from_ref(&parts), &each), 5);
        assert_eq!(fitting(&[parts, money], &each), 3);
        assert_eq!(
            fitting(&[budget(Unit::Parts, 5, 9)], &each),
            0,
            "it was lowered"
        );
        assert_eq!(fitting(&[budget(Unit::Parts, 5, 9)], &[]), 0);
    }

    #[test]
    fn a_reason_names_budget_use_and_end_within_the_column() {
        let reason = budget(Unit::Money, 50_000_000, 49_995_000).reason();
        assert_eq!(
            reason,
            "budget of key:0190a0b0-c0d0-7080-8000-00000000000e: 49.995 of 50.00 money used this day, until 2027-02-01 UTC"
        );
        let most = budget(Unit::Money, u64::MAX, u64::MAX).reason();
        assert!(most.len() <= 128, "{most}");
        assert!(budget(Unit::Parts, 10, 8).warns_at(8) && !budget(Unit::Parts, 10, 7).warns_at(7));
    }
}
