//! Routes of the recipients of a schedule.

use shared::access::Permission::{SchedulesRead, SchedulesWrite};

use crate::{
    auth::access::Access::Requires,
    resources::recipients::{append, groups, list},
    route::{Route, get, post},
};

/// Returns the routes of recipients.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/schedules/{id}/recipients",
            Requires(SchedulesRead),
            list::list,
            list::list_doc,
        ),
        post(
            "/v1/schedules/{id}/recipients",
            Requires(SchedulesWrite),
            append::append,
            append::append_doc,
        ),
        get(
            "/v1/schedules/{id}/groups",
            Requires(SchedulesRead),
            groups::groups,
            groups::groups_doc,
        ),
    ]
}
