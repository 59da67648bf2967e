//! `/v1/auth/second-factor`: a person sets up, sees and removes the own second factor.

mod begin;
mod confirm;
mod remove;
pub mod routes;
mod show;

use uuid::Uuid;

use crate::{
    auth::{Caller, Identity},
    http::error::ApiError,
};

/// The field of a code.
const CODE: &str = "code";
/// Characters of what is read as a code: one of the app, or a recovery code.
const LONGEST_CODE: usize = 32;

/// Returns the id of the person who calls.
fn person(caller: &Caller) -> Result<Uuid, ApiError> {
    match caller.identity {
        Identity::User { id, .. } => Ok(id),
        _ => Err(ApiError::Forbidden(None)),
    }
}
