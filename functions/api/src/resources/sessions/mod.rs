//! `/v1/auth`: a user logs in with a password, and gets a short-lived access token and a refresh
//! token. A refresh token is exchanged for the next pair. All tokens that follow from one login form a
//! session, and end together.

pub mod cookie;
mod devices;
pub mod end;
pub mod list;
pub mod login;
pub mod login_limits;
pub mod me;
pub mod password;
pub mod refresh;
pub mod routes;
pub mod store;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    access::Role,
    platform::secret::{hash_token, random_text},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{password::is_guessable, tokens::ACCESS_TOKEN},
    http::{
        error::{ApiError, FieldError},
        fields::Fields,
    },
    resources::sessions::store::insert_refresh_token,
};

/// The lifetime of a session. After it the user has to log in again, regardless of refreshes.
pub const SESSION: TimeDelta = TimeDelta::days(30);
/// A refresh token that is not used for this time expires.
pub const REFRESH_TOKEN: TimeDelta = TimeDelta::days(7);
/// A refresh token is accepted again for this time after its first use: the answer may have been
/// lost, or two tabs of a browser may have sent it at the same time.
pub const REFRESH_GRACE: TimeDelta = TimeDelta::seconds(10);
/// The length of a password in characters. NIST SP 800-63B requires a length, and that common and
/// guessable passwords are refused ([`require_unguessable`]), and no other property.
pub const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 12..=256;

/// The length in bytes of a text that is compared with a secret.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 1..=1024;
/// The scheme with which a token is sent.
const TOKEN_TYPE: &str = "Bearer";

/// Tokens, as OAuth 2.0 names them (RFC 6749, section 5.1).
#[derive(JsonSchema, Serialize)]
pub struct Tokens {
    access_token: String,
    #[schemars(extend("const" = TOKEN_TYPE))]
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    /// Missing if it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Seconds.
    refresh_expires_in: i64,
    /// After a login: proves at the next one that this device is known. It is valid for 180 days
    /// after its last use.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    user: TokenUser,
}

/// The user to whom tokens were issued.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Person")]
struct TokenUser {
    id: Uuid,
    username: String,
    role: Role,
}

/// Issues a new pair of tokens for a session, in the transaction that creates or refreshes it.
async fn issue(
    app: &App,
    transaction: &mut MySqlConnection,
    session: Uuid,
    user: TokenUser,
    now: DateTime<Utc>,
) -> Result<Tokens, ApiError> {
    // 52 characters of five bits each: 260 bits.
    let refresh_token = random_text(52);
    insert_refresh_token(transaction, &hash_token(&refresh_token), session, now).await?;
    let issued = app
        .gate
        .signing_keys
        .issue(user.id, session, user.role.as_str(), now);
    let access_token = issued.map_err(|error| ApiError::Internal(format!("{error:#}")))?;
    Ok(Tokens {
        access_token,
        token_type: TOKEN_TYPE,
        expires_in: ACCESS_TOKEN.num_seconds(),
        refresh_token: Some(refresh_token),
        refresh_expires_in: REFRESH_TOKEN.num_seconds(),
        device_token: None,
        user,
    })
}

/// Reads a required secret.
pub fn secret(fields: &mut Fields, name: &'static str) -> Option<SecretString> {
    let given = optional_secret(fields, name);
    if given.is_none() {
        fields.require(name, "a string");
    }
    given
}

/// Reads a secret. A text that is longer than any real one is refused before it is compared.
fn optional_secret(fields: &mut Fields, name: &'static str) -> Option<SecretString> {
    let text = fields.text(name)?;
    if !SECRET_LENGTH.contains(&text.len()) {
        let expected = format!("expected 1 to {} bytes", SECRET_LENGTH.end());
        fields.complain(name, "out-of-range", expected);
        return None;
    }
    Some(text.into())
}

/// Reads a new password.
fn new_password(fields: &mut Fields, name: &'static str) -> Option<SecretString> {
    let text = fields.text(name)?;
    let length = text.chars().count();
    if !PASSWORD_LENGTH.contains(&length) {
        let code = if length < *PASSWORD_LENGTH.start() {
            "too-short"
        } else {
            "too-long"
        };
        let expected = format!(
            "expected {} to {} characters",
            PASSWORD_LENGTH.start(),
            PASSWORD_LENGTH.end()
        );
        fields.complain(name, code, expected);
        return None;
    }
    Some(text.into())
}

/// Refuses a new password that is common, or easy to guess for who knows the username.
fn require_unguessable(
    name: &'static str,
    password: &SecretString,
    username: &str,
) -> Result<(), ApiError> {
    if !is_guessable(password.expose_secret(), username) {
        return Ok(());
    }
    let expected = "expected a password that is not common and does not follow from the username, such as \
                    several words that do not belong together";
    let error = FieldError::new(name, "too-common", expected);
    Err(ApiError::invalid(vec![error]))
}

/// Returns the schema of a secret.
pub fn secret_schema() -> Value {
    json!({"type": "string", "minLength": SECRET_LENGTH.start(), "maxLength": SECRET_LENGTH.end(), "format": "password"})
}

/// Returns the schema of a new password.
fn new_password_schema() -> Value {
    json!({"type": "string", "minLength": PASSWORD_LENGTH.start(), "maxLength": PASSWORD_LENGTH.end(), "format": "password"})
}

/// Returns an example of a pair of tokens.
fn tokens_example() -> Value {
    json!({
        "access_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        "token_type": TOKEN_TYPE,
        "expires_in": ACCESS_TOKEN.num_seconds(),
        "refresh_token": "k7m2p4q6r8s3t5v7w9x2y4z6a8b3c5d7e9f2g4h6j8k3m5n7p9q2",
        "refresh_expires_in": REFRESH_TOKEN.num_seconds(),
        "user": {"id": "0190a0b0-c0d0-7080-8000-00000000000f", "username": "ana", "role": "operator"},
    })
}
