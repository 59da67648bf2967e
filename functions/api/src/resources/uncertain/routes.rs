//! Routes that resolve UNCERTAIN recipients.

use shared::access::Permission::AttentionWrite;

use crate::{
    auth::access::Access::Requires,
    resources::uncertain,
    route::{Route, post},
};

/// Returns the routes of UNCERTAIN recipients.
pub fn table() -> Vec<Route> {
    vec![
        post(
            "/v1/schedules/{id}/uncertain",
            Requires(AttentionWrite),
            uncertain::resolve_all,
            uncertain::resolve_all_doc,
        ),
        post(
            "/v1/schedules/{id}/recipients/{recipient}/resolve",
            Requires(AttentionWrite),
            uncertain::resolve_one,
            uncertain::resolve_one_doc,
        ),
    ]
}
