//! Routes of `/v1/system`.

use shared::access::Permission::{AttentionRead, SystemStop};

use crate::{
    auth::access::Access::Requires,
    resources::system::{change, show},
    route::{Route, get, post},
};

/// Returns the routes of the system as a whole.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/v1/system",
            Requires(AttentionRead),
            show::show,
            show::show_doc,
        ),
        post(
            "/v1/system/stop",
            Requires(SystemStop),
            change::stop,
            change::stop_doc,
        ),
        post(
            "/v1/system/resume",
            Requires(SystemStop),
            change::resume,
            change::resume_doc,
        ),
    ]
}
