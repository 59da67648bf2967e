//! Routes of `/v1/auth`.

use crate::{
    auth::access::Access::{Authenticated, Public, Session},
    resources::sessions::{end, list, login, me, password, refresh},
    route::{Route, delete, get, post},
};

/// Returns the routes of sessions.
pub fn table() -> Vec<Route> {
    vec![
        post("/v1/auth/login", Public, login::login, login::login_doc),
        post(
            "/v1/auth/refresh",
            Public,
            refresh::refresh,
            refresh::refresh_doc,
        ),
        post("/v1/auth/logout", Session, end::logout, end::logout_doc),
        post(
            "/v1/auth/password",
            Session,
            password::change,
            password::change_doc,
        ),
        get("/v1/auth/sessions", Session, list::list, list::list_doc),
        delete(
            "/v1/auth/sessions/{id}",
            Session,
            list::revoke,
            list::revoke_doc,
        ),
        get("/v1/auth/me", Authenticated, me::me, me::me_doc),
    ]
}
