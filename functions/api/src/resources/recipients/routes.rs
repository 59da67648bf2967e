//! Routes of the recipients of a schedule.

use shared::access::Permission::{SchedulesRead, SchedulesWrite};

use crate::{
    auth::access::Access::Requires,
    resources::recipients::{
        append, groups, list,
        one::{bulk, single},
        progress,
    },
    route::{Route, delete, get, patch, post},
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
        patch(
            "/v1/schedules/{id}/recipients",
            Requires(SchedulesWrite),
            bulk::change,
            bulk::change_doc,
        ),
        post(
            "/v1/schedules/{id}/recipients/cancel",
            Requires(SchedulesWrite),
            bulk::cancel,
            bulk::cancel_doc,
        ),
        patch(
            "/v1/schedules/{id}/recipients/{recipient}",
            Requires(SchedulesWrite),
            single::change,
            single::change_doc,
        ),
        delete(
            "/v1/schedules/{id}/recipients/{recipient}",
            Requires(SchedulesWrite),
            single::cancel,
            single::cancel_doc,
        ),
        get(
            "/v1/schedules/{id}/groups",
            Requires(SchedulesRead),
            groups::groups,
            groups::groups_doc,
        ),
        get(
            "/v1/schedules/{id}/progress",
            Requires(SchedulesRead),
            progress::progress,
            progress::progress_doc,
        ),
    ]
}
