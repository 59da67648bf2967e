//! Routes of `/v1/suppressions`.

use shared::access::Permission::{SuppressionsDelete, SuppressionsRead, SuppressionsWrite};

use crate::{
    auth::access::Access::Requires,
    resources::suppressions::{change, import, read},
    route::{Route, delete, get, post, put},
};

/// Returns the routes of suppressions.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/suppressions",
            Requires(SuppressionsRead),
            read::list,
            read::list_doc,
        ),
        post(
            "/v1/suppressions/import",
            Requires(SuppressionsWrite),
            import::import,
            import::import_doc,
        ),
        get(
            "/v1/suppressions/{phone}",
            Requires(SuppressionsRead),
            read::show,
            read::show_doc,
        ),
        put(
            "/v1/suppressions/{phone}",
            Requires(SuppressionsWrite),
            change::put,
            change::put_doc,
        ),
        delete(
            "/v1/suppressions/{phone}",
            Requires(SuppressionsDelete),
            change::delete,
            change::delete_doc,
        ),
    ]
}
