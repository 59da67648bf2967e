//! Routes of `/v1/audit`.

use shared::access::Permission::AuditRead;

use crate::{
    auth::access::Access::Requires,
    resources::audit::list,
    route::{Route, get},
};

/// Returns the routes of the audit log.
pub fn table() -> Vec<Route> {
    vec![get(
        "/v1/audit",
        Requires(AuditRead),
        list::list,
        list::list_doc,
    )]
}
