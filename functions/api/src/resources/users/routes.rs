//! Routes of `/v1/users`.

use shared::access::Permission::Users;

use crate::{
    auth::access::Access::Requires,
    resources::users::{change, create, list, show},
    route::{Route, get, patch, post_secret},
};

/// Returns the routes of users.
pub fn table() -> Vec<Route> {
    vec![
        get("/v1/users", Requires(Users), list::list, list::list_doc),
        post_secret(
            "/v1/users",
            Requires(Users),
            create::create,
            create::create_doc,
        ),
        get(
            "/v1/users/{id}",
            Requires(Users),
            show::show,
            show::show_doc,
        ),
        patch(
            "/v1/users/{id}",
            Requires(Users),
            change::change,
            change::change_doc,
        ),
    ]
}
