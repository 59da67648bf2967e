//! Routes of `/v1/prices`.

use shared::access::Permission::{Money, SchedulesRead};

use crate::{
    auth::access::Access::Requires,
    resources::prices::{import, show},
    route::{Route, get, put},
};

/// Returns the routes of prices.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/prices",
            Requires(SchedulesRead),
            show::show,
            show::show_doc,
        ),
        put(
            "/v1/prices",
            Requires(Money),
            import::import,
            import::import_doc,
        ),
    ]
}
