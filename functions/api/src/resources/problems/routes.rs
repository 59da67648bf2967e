//! Routes of `/problems`.

use crate::{
    auth::access::Access::Public,
    resources::problems::pages,
    route::{Route, get},
};

/// Returns the routes of problem types.
pub fn table() -> Vec<Route> {
    vec![
        get("/problems", Public, pages::list, pages::list_doc),
        get("/problems/{slug}", Public, pages::show, pages::show_doc),
    ]
}
