//! Routes of the console.

use crate::{
    auth::access::Access::Public,
    resources::console::page,
    route::{Route, get},
};

/// Returns the routes of the console. Its files contain no data, so they need no token.
pub fn table() -> Vec<Route> {
    vec![
        get("/console", Public, page::page, page::page_doc),
        get(
            "/console/{version}/{file}",
            Public,
            page::file,
            page::file_doc,
        ),
    ]
}
