//! Routes that carriers call.

use crate::{
    auth::access::Access::Signed,
    resources::receipts,
    route::{Route, post},
};

/// Returns the routes of delivery receipts.
pub fn table() -> Vec<Route> {
    vec![post(
        "/v1/carrier/callbacks/{carrier}",
        Signed,
        receipts::receive,
        receipts::receive_doc,
    )]
}
