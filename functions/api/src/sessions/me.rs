//! `GET /v1/auth/me`: who the API takes the caller for.

use axum::Json;
use serde::Serialize;
use shared::access::{Permission, Role};

use crate::{
    auth::{Caller, Identity},
    error::ApiError,
    query::Query,
};

/// The caller.
#[derive(Serialize)]
pub struct Me {
    /// `user`, `key` or `issuer`.
    kind: &'static str,
    /// The user's or the key's id, or the issuer's subject.
    id: String,
    name: String,
    role: Option<Role>,
    permissions: Vec<Permission>,
}

/// 200.
pub async fn me(caller: Caller, query: Query) -> Result<Json<Me>, ApiError> {
    query.finish()?;
    let (kind, id) = match caller.identity {
        Identity::User { id, .. } => ("user", id.to_string()),
        Identity::Key { id, .. } => ("key", id.to_string()),
        Identity::Outsider { subject } => ("issuer", subject),
        Identity::Nobody => ("nobody", String::new()),
    };
    Ok(Json(Me { kind, id, name: caller.name, role: caller.role, permissions: caller.permissions }))
}
