//! Routes of `/v1/api-keys`.

use shared::access::Permission::ApiKeys;

use crate::{
    auth::access::Access::Requires,
    resources::api_keys::{self, change, create},
    route::{Route, delete, get, patch, post_secret},
};

/// Returns the routes of API keys.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/api-keys",
            Requires(ApiKeys),
            api_keys::list,
            api_keys::list_doc,
        ),
        post_secret(
            "/v1/api-keys",
            Requires(ApiKeys),
            create::create,
            create::create_doc,
        ),
        get(
            "/v1/api-keys/{id}",
            Requires(ApiKeys),
            api_keys::show,
            api_keys::show_doc,
        ),
        patch(
            "/v1/api-keys/{id}",
            Requires(ApiKeys),
            change::change,
            change::change_doc,
        ),
        delete(
            "/v1/api-keys/{id}",
            Requires(ApiKeys),
            api_keys::revoke,
            api_keys::revoke_doc,
        ),
    ]
}
