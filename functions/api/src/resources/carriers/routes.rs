//! Routes of `/v1/carriers`.

use shared::access::Permission::{CarriersRead, CarriersWrite};

use crate::{
    auth::access::Access::Requires,
    resources::carriers::{change, list},
    route::{Route, get, patch},
};

/// Returns the routes of carriers.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/carriers",
            Requires(CarriersRead),
            list::list,
            list::list_doc,
        ),
        get(
            "/v1/carriers/{carrier}",
            Requires(CarriersRead),
            list::show,
            list::show_doc,
        ),
        patch(
            "/v1/carriers/{carrier}",
            Requires(CarriersWrite),
            change::change,
            change::change_doc,
        ),
    ]
}
