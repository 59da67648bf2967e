//! The types of problems about prices and budgets.

use super::ProblemType;

/// `budget-exceeded`
pub const BUDGET_EXCEEDED: ProblemType = ProblemType {
    slug: "budget-exceeded",
    status: 409,
    title: "The schedule exceeds a budget",
    meaning: "The schedule needs more than is left of a budget in the period in which it begins. Nothing was written.",
    remedy: "Shorten the list, plan it for a later period, or have the budget raised.",
};

/// `budget-exists`
pub const BUDGET_EXISTS: ProblemType = ProblemType {
    slug: "budget-exists",
    status: 409,
    title: "There is such a budget",
    meaning: "Another budget has this scope, period and unit.",
    remedy: "Change the amount of that budget.",
};

/// `no-prices`
pub const NO_PRICES: ProblemType = ProblemType {
    slug: "no-prices",
    status: 409,
    title: "There are no prices",
    meaning: "A budget of money needs prices.",
    remedy: "Import prices first, or set a budget of parts.",
};

/// `money-budgets-exist`
pub const MONEY_BUDGETS_EXIST: ProblemType = ProblemType {
    slug: "money-budgets-exist",
    status: 409,
    title: "Budgets of money need the prices",
    meaning: "The list has no rows, or another currency than the present one, and there are budgets of money.",
    remedy: "Remove the budgets of money first, and set them again afterwards.",
};
