//! Spreadsheets, which are converted but not stored.

mod convert;

use shared::access::Permission::SchedulesWrite;

use crate::{
    auth::access::Access::Requires,
    route::{Route, post},
};

/// Returns the routes of spreadsheets.
pub fn table() -> Vec<Route> {
    vec![post(
        "/v1/spreadsheets/convert",
        Requires(SchedulesWrite),
        convert::convert,
        convert::convert_doc,
    )]
}
