//! `GET /v1/auth/me`: returns the caller, as the API identifies it.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::access::{Permission, Role};

use crate::{
    auth::{Caller, Identity},
    http::{error::ApiError, query::Query},
    openapi::Operation,
};

/// The caller.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "CallerView")]
pub struct Me {
    /// `user`, `key` or `issuer`.
    #[schemars(extend("enum" = ["user", "key", "issuer"]))]
    kind: &'static str,
    /// The user's or the key's id, or the issuer's subject.
    id: String,
    name: String,
    role: Option<Role>,
    permissions: Vec<Permission>,
}

/// Returns 200 with the caller.
pub async fn me(caller: Caller, query: Query) -> Result<Json<Me>, ApiError> {
    query.finish()?;
    let (kind, id) = match caller.identity {
        Identity::User { id, .. } => ("user", id.to_string()),
        Identity::Key { id, .. } => ("key", id.to_string()),
        Identity::Outsider { subject, .. } => ("issuer", subject),
        Identity::Anonymous => ("nobody", String::new()),
    };
    Ok(Json(Me {
        kind,
        id,
        name: caller.name,
        role: caller.role,
        permissions: caller.permissions,
    }))
}

/// Describes `GET /v1/auth/me` in the OpenAPI document.
pub fn me_doc() -> Operation {
    let example = json!({"kind": "user", "id": "0190a0b0-c0d0-7080-8000-00000000000f", "name": "ana", "role": "viewer",
        "permissions": Role::Viewer.permissions()});
    Operation::new(
        "getCaller",
        "auth",
        "Get the caller, as the API identifies it",
    )
    .answers::<Me>(200, "The caller.", example)
}
