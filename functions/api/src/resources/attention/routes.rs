//! Routes of `/v1/attention`.

use shared::access::Permission::{AttentionRead, AttentionWrite};

use crate::{
    auth::access::Access::Requires,
    resources::attention::{dead_letters, list, overview, redrive},
    route::{Route, get, post},
};

/// Returns the routes of what needs an operator.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/attention",
            Requires(AttentionRead),
            overview::overview,
            overview::overview_doc,
        ),
        get(
            "/v1/attention/dead-letters",
            Requires(AttentionRead),
            dead_letters::list,
            dead_letters::list_doc,
        ),
        post(
            "/v1/attention/dead-letters/redrive",
            Requires(AttentionWrite),
            redrive::redrive,
            redrive::redrive_doc,
        ),
        get(
            "/v1/attention/{kind}",
            Requires(AttentionRead),
            list::list,
            list::list_doc,
        ),
    ]
}
