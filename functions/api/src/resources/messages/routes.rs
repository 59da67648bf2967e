//! Routes of `/v1/messages`.

use shared::access::Permission::SchedulesRead;

use crate::{
    auth::access::Access::Requires,
    resources::messages::list,
    route::{Route, get},
};

/// Returns the routes of messages.
pub fn table() -> Vec<Route> {
    vec![get(
        "/v1/messages",
        Requires(SchedulesRead),
        list::list,
        list::list_doc,
    )]
}
