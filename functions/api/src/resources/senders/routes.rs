//! Routes of `/v1/senders`.

use shared::access::Permission::{SchedulesRead, SendersWrite};

use crate::{
    auth::access::Access::Requires,
    resources::senders::{change, list},
    route::{Route, delete, get, put},
};

/// Returns the routes of senders.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/senders",
            Requires(SchedulesRead),
            list::list,
            list::list_doc,
        ),
        put(
            "/v1/senders/{sender}",
            Requires(SendersWrite),
            change::put,
            change::put_doc,
        ),
        delete(
            "/v1/senders/{sender}",
            Requires(SendersWrite),
            change::delete,
            change::delete_doc,
        ),
    ]
}
