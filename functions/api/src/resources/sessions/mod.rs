//! `/v1/auth`: people log in with a password and get a short access token and a refresh token, which is good once and brings the next
//! pair. All that came from one login is a session, and ends together.

pub mod end;
pub mod login;
pub mod me;
pub mod password;
pub mod refresh;
pub mod routes;
pub mod store;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use secrecy::SecretString;
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
    auth::tokens::ACCESS_TOKEN,
    http::{error::ApiError, fields::Fields},
    resources::sessions::store::insert_refresh_token,
};

/// After so long one has to log in again, whatever was refreshed.
pub const SESSION: TimeDelta = TimeDelta::days(30);
/// A refresh token that is not used for so long is void.
pub const REFRESH_TOKEN: TimeDelta = TimeDelta::days(7);
/// Characters of a password. NIST SP 800-63B asks for length, and for nothing else.
pub const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 12..=256;

/// Bytes of a text that is compared with a secret.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 1..=1024;
/// How a token goes along with a call.
const TOKEN_TYPE: &str = "Bearer";

/// Tokens, as OAuth 2.0 names them (RFC 6749, section 5.1).
#[derive(JsonSchema, Serialize)]
pub struct Tokens {
    access_token: String,
    #[schemars(extend("const" = TOKEN_TYPE))]
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    refresh_token: String,
    /// Seconds.
    refresh_expires_in: i64,
    user: Person,
}

#[derive(JsonSchema, Serialize)]
struct Person {
    id: Uuid,
    username: String,
    role: Role,
}

/// A new pair for a session, in the transaction that makes or refreshes it.
async fn issue(
    app: &App,
    transaction: &mut MySqlConnection,
    session: Uuid,
    (id, username, role): (Uuid, &str, Role),
    now: DateTime<Utc>,
) -> Result<Tokens, ApiError> {
    // 52 letters of five bits: 260 bits.
    let refresh_token = random_text(52);
    insert_refresh_token(transaction, &hash_token(&refresh_token), session, now).await?;
    let issued = app.gate.signing_keys.issue(id, session, role.as_str(), now);
    let access_token = issued.map_err(|error| ApiError::Internal(format!("{error:#}")))?;
    Ok(Tokens {
        access_token,
        token_type: TOKEN_TYPE,
        expires_in: ACCESS_TOKEN.num_seconds(),
        refresh_token,
        refresh_expires_in: REFRESH_TOKEN.num_seconds(),
        user: Person {
            id,
            username: username.to_owned(),
            role,
        },
    })
}

/// A text that must be there; more than anybody types is not even looked at.
fn secret(fields: &mut Fields, name: &'static str) -> Option<SecretString> {
    let given = fields.text(name);
    match given {
        Some(text) if !SECRET_LENGTH.contains(&text.len()) => {
            fields.complain(
                name,
                "out-of-range",
                format!("expected 1 to {} bytes", SECRET_LENGTH.end()),
            );
            None
        }
        Some(text) => Some(text.into()),
        None => {
            fields.require(name, "a string");
            None
        }
    }
}

/// A password that is being chosen.
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

/// For the document.
fn secret_schema() -> Value {
    json!({"type": "string", "minLength": SECRET_LENGTH.start(), "maxLength": SECRET_LENGTH.end(), "format": "password"})
}

/// Likewise.
fn new_password_schema() -> Value {
    json!({"type": "string", "minLength": PASSWORD_LENGTH.start(), "maxLength": PASSWORD_LENGTH.end(), "format": "password"})
}

/// Likewise.
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
