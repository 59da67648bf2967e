//! Routes of `/v1/budgets`.

use shared::access::Permission::{Money, SchedulesRead};

use crate::{
    auth::access::Access::Requires,
    resources::budgets::{change, create, list},
    route::{Route, delete, get, patch, post},
};

/// Returns the routes of budgets.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/budgets",
            Requires(SchedulesRead),
            list::list,
            list::list_doc,
        ),
        post(
            "/v1/budgets",
            Requires(Money),
            create::create,
            create::create_doc,
        ),
        get(
            "/v1/budgets/{id}",
            Requires(SchedulesRead),
            list::show,
            list::show_doc,
        ),
        patch(
            "/v1/budgets/{id}",
            Requires(Money),
            change::change,
            change::change_doc,
        ),
        delete(
            "/v1/budgets/{id}",
            Requires(Money),
            change::remove,
            change::remove_doc,
        ),
    ]
}
