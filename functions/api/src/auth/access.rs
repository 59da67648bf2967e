//! The access rules of routes.

use axum::http::Method;
use shared::access::Permission;

/// The access rule of a route: the callers that it admits. The guard ([`crate::auth::guard`])
/// enforces it, and the OpenAPI document states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a login.
    Public,
    /// Callers that sign the body. The handler verifies the signature before anything else;
    /// these requests do not count towards the request rate.
    Signed,
    /// Every authenticated caller.
    Authenticated,
    /// A user who logged in here: the route concerns the session or the password of the caller.
    Session,
    /// Callers with this permission.
    Requires(Permission),
    /// Callers with the first permission; or with the second, for resources of their own: the
    /// handler leaves out all others.
    RequiresOrOwn(Permission, Permission),
}

impl Access {
    /// Returns whether a request counts towards the rate of its caller.
    ///
    /// Not counted are reads that need no login, such as `/health`: they are too cheap for a write
    /// of a counter. Nor are signed calls: a wrong signature is as cheap, and a valid one brings
    /// thousands of receipts, whose rate the gateway limits.
    pub fn is_counted(self, method: &Method) -> bool {
        match self {
            Self::Signed => false,
            Self::Public => *method == Method::POST,
            Self::Authenticated | Self::Session | Self::Requires(_) | Self::RequiresOrOwn(..) => {
                true
            }
        }
    }
}
