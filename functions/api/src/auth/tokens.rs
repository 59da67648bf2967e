//! The access tokens of this API: signed JWTs that are valid for [`ACCESS_TOKEN`] and not stored. A
//! token proves that its session existed when it was issued; the guard checks with [`Claims::sid`]
//! whether the session still exists.
//!
//! [`SigningKeys`] issues and verifies them. [`Refused`] is the reason for which a token, of this
//! API or of an issuer, is not accepted.

mod keys;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, dangerous, decode, decode_header,
    encode, errors::ErrorKind,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

pub use keys::{KeyRing, SigningKeys, key_source};
pub use shared::platform::config::KeySource;

/// The time for which a token is valid.
pub const ACCESS_TOKEN: TimeDelta = TimeDelta::minutes(15);

/// The issuer and the audience of the tokens: both are this API.
const SMS: &str = "sms";

/// Seconds by which the clocks of two processes may differ.
const LEEWAY: i64 = 5;

/// The claims of a token. Each is required and has the given type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Always `sms`.
    pub iss: String,
    /// Always `sms`.
    pub aud: String,
    /// The user.
    pub sub: Uuid,
    /// The session.
    pub sid: Uuid,
    /// The name of the user's role when the token was issued.
    pub role: String,
    /// When the token was issued, in seconds since 1970.
    pub iat: i64,
    /// When the token becomes valid, in seconds since 1970.
    pub nbf: i64,
    /// When the token expires, in seconds since 1970.
    pub exp: i64,
}

/// The reason for which a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not a JWT, or it lacks a key id or a claim.
    Malformed,
    /// It is signed with an unknown key.
    UnknownKey,
    /// It is not signed with the key that it names, or not with the algorithm of that key.
    Signature,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is from another issuer.
    WrongIssuer,
    /// It is for another audience.
    WrongAudience,
    /// It is no access token: an ID token, for example.
    NotAccess,
    /// It cannot be verified now, because the keys are unavailable. The reason is for the log, not
    /// for the client.
    Unavailable(String),
}

impl Refused {
    /// Returns the reason for the client: the `error_description` of RFC 6750, section 3.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed => "the token is malformed",
            Self::UnknownKey => "the token is signed with an unknown key",
            Self::Signature => "the signature of the token is wrong",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::WrongIssuer => "the token is from another issuer",
            Self::WrongAudience => "the token is for another audience",
            Self::NotAccess => "the token is no access token",
            Self::Unavailable(_) => "the token cannot be verified at present",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Refused {}

/// Returns the issuer that the token names. It is not verified: it only selects the keys.
pub fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    dangerous::insecure_decode_claims::<Issuer>(token)
        .ok()
        .map(|claims| claims.iss)
}

/// What the header of a token says.
pub(super) struct TokenHeader {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The name of the key.
    pub kid: String,
    /// The type of the token (`typ`).
    pub token_type: Option<String>,
}

/// Reads the header of a token. Critical extensions (`crit`) are not supported.
pub(super) fn named_key(token: &str) -> Result<TokenHeader, Refused> {
    let header = decode_header(token).map_err(|_| Refused::Malformed)?;
    match header {
        Header {
            crit: None,
            alg,
            kid: Some(kid),
            typ,
            ..
        } if !kid.is_empty() => Ok(TokenHeader {
            algorithm: alg,
            kid,
            token_type: typ,
        }),
        _ => Err(Refused::Malformed),
    }
}

/// Returns the claims if `key` signed them with this algorithm. The claims themselves are not
/// checked.
pub(super) fn signed_claims<T: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Result<T, Refused> {
    let mut signature_only = Validation::new(algorithm);
    signature_only.required_spec_claims.clear();
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    let token = decode(token, key, &signature_only).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => Refused::Signature,
        _ => Refused::Malformed,
    })?;
    Ok(token.claims)
}

fn sign(claims: &Claims, kid: &str, key: &[u8]) -> anyhow::Result<String> {
    let header = Header {
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    Ok(encode(&header, claims, &EncodingKey::from_secret(key))?)
}

fn verify(token: &str, key: &[u8], now: DateTime<Utc>) -> Result<Claims, Refused> {
    let claims: Claims = signed_claims(token, &DecodingKey::from_secret(key), Algorithm::HS256)?;
    let now = now.timestamp();
    match claims {
        Claims { iss, .. } if iss != SMS => Err(Refused::WrongIssuer),
        Claims { aud, .. } if aud != SMS => Err(Refused::WrongAudience),
        Claims { exp, .. } if exp <= now => Err(Refused::Expired),
        Claims { nbf, .. } if nbf > now + LEEWAY => Err(Refused::NotYetValid),
        claims => Ok(claims),
    }
}
