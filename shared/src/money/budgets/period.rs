//! The periods of budgets, in UTC. Pure.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
#[schemars(rename = "BudgetPeriod")]
pub enum Period {
    /// At midnight.
    Day,
    /// On the first of each month.
    Month,
}

/// One period: from the start of a day to the start of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first day.
    pub start: NaiveDate,
    /// The first day of the next period.
    pub end: NaiveDate,
}

impl Span {
    /// Returns whether a time lies in it, or before it.
    pub fn has_begun_before(self, at: DateTime<Utc>) -> bool {
        at.date_naive() < self.end
    }
}

impl Period {
    /// Each period.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// Returns the value in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Returns the period that contains a time.
    pub fn span_of(self, at: DateTime<Utc>) -> Span {
        let day = at.date_naive();
        let start = match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
        };
        let end = match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
        };
        Span {
            start,
            end: end.unwrap_or(NaiveDate::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_at_midnight_and_on_the_first() {
        for (at, day, month) in [
            (
                "2027-01-31T23:59:59Z",
                ("2027-01-31", "2027-02-01"),
                ("2027-01-01", "2027-02-01"),
            ),
            (
                "2027-02-01T00:00:00Z",
                ("2027-02-01", "2027-02-02"),
                ("2027-02-01", "2027-03-01"),
            ),
            (
                "2026-12-31T12:00:00Z",
                ("2026-12-31", "2027-01-01"),
                ("2026-12-01", "2027-01-01"),
            ),
        ] {
            let at: DateTime<Utc> = at.parse().unwrap();
            for (period, expected) in [(Period::Day, day), (Period::Month, month)] {
                let span = period.span_of(at);
                let shown = (span.start.to_string(), span.end.to_string());
                assert_eq!(shown, (expected.0.to_owned(), expected.1.to_owned()));
                assert!(span.has_begun_before(at));
            }
        }
    }
}
