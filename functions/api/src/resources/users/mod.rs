//! `/v1/users`: users who log in with a password. An administrator creates a user with a temporary
//! password, which is shown once and has to be changed at the first login. Users are never deleted,
//! because the audit log names them.

pub mod change;
pub mod create;
pub mod list;
pub mod routes;
pub mod show;
pub mod store;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::access::{Role, users::User};
use uuid::Uuid;

use crate::http::error::ApiError;

/// The lifetime of a temporary password.
pub const TEMPORARY: TimeDelta = TimeDelta::days(7);

/// A user in an answer.
#[derive(JsonSchema, Serialize)]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
#[schemars(rename = "User")]
pub struct UserView {
    pub id: Uuid,
    pub username: String,
    pub role: Role,
    pub disabled_at: Option<DateTime<Utc>>,
    /// If set, the password is temporary and expires then.
    pub password_expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub last_login_at: Option<DateTime<Utc>>,
    /// Whether logins need a code.
    pub second_factor: bool,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            role: user.role,
            disabled_at: user.disabled_at,
            password_expires_at: user.password_expires_at,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
            second_factor: user.second_factor,
        }
    }
}

/// A user, and a new password, which is stored nowhere else.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UserAndPassword")]
pub struct UserWithPassword {
    #[serde(flatten)]
    user: UserView,
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary_password: Option<String>,
}

/// Returns the members of a user that the audit log holds.
fn audit_state(user: &User) -> Value {
    json!({"username": user.username, "role": user.role, "disabled": user.disabled_at.is_some()})
}

fn parse_id(id: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(id).map_err(|_| no_such_user())
}

fn no_such_user() -> ApiError {
    ApiError::NotFound("there is no user with this id".to_owned())
}

/// Returns an example of a user.
fn example() -> Value {
    json!({
        "id": "0190a0b0-c0d0-7080-8000-00000000000f",
        "username": "ana",
        "role": "operator",
        "disabled_at": null,
        "password_expires_at": "2026-12-08T01:00:00Z",
        "created_at": "2026-12-01T01:00:00Z",
        "last_login_at": null,
        "second_factor": false,
    })
}

/// Returns an example of a user with a password.
fn user_with_password_example() -> Value {
    let mut example = example();
    example["temporary_password"] = json!("k7m2p4q6r8s3t5v7w9x2");
    example
}
