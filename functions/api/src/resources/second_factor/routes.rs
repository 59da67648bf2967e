//! Routes of `/v1/auth/second-factor`.

use crate::{
    auth::access::Access::Session,
    resources::second_factor::{begin, confirm, remove, show},
    route::{Route, get, post},
};

/// Returns the routes of the second factor.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/auth/second-factor",
            Session,
            show::show,
            show::show_doc,
        ),
        post(
            "/v1/auth/second-factor",
            Session,
            begin::begin,
            begin::begin_doc,
        ),
        post(
            "/v1/auth/second-factor/confirm",
            Session,
            confirm::confirm,
            confirm::confirm_doc,
        ),
        post(
            "/v1/auth/second-factor/remove",
            Session,
            remove::remove,
            remove::remove_doc,
        ),
    ]
}
