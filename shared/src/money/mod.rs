//! Money: amounts, prices by prefix, and what schedules cost.

pub mod amount;
pub mod budgets;
pub mod costs;
pub mod prices;
