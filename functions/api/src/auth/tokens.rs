//! Our own access tokens: signed JWTs that are good for [`ACCESS_TOKEN`] and are looked up nowhere. Who holds one was logged in
//! when it was issued; whether the session still is, is for the caller to ask by [`Claims::sid`].
//!
//! [`SigningKeys`] issues and verifies them. What is wrong with a token, ours or an issuer's, is a [`Refused`].

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

/// How long a token of ours is good for.
pub const ACCESS_TOKEN: TimeDelta = TimeDelta::minutes(15);

/// Who issues them, and for whom: both are this API.
const SMS: &str = "sms";

/// By how much the clocks of two environments may differ.
const LEEWAY: i64 = 5;

/// What a token of ours says. Every claim has to be there and of its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Always `sms`.
    pub iss: String,
    /// Always `sms`.
    pub aud: String,
    /// The user.
    pub sub: Uuid,
    /// Their session.
    pub sid: Uuid,
    /// Name of the role that they had.
    pub role: String,
    /// Issued then, in seconds since 1970.
    pub iat: i64,
    /// Not good before, in seconds since 1970.
    pub nbf: i64,
    /// Not good from then on, in seconds since 1970.
    pub exp: i64,
}

/// Why a token isn't taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not a JWT, or one that lacks what it needs: a key id, a claim.
    Malformed,
    /// Signed with a key that isn't known here.
    UnknownKey,
    /// Not signed by the key that it names, or not with that key's algorithm.
    Signature,
    /// Its time is over.
    Expired,
    /// Its time is yet to come.
    NotYetValid,
    /// From somebody else.
    WrongIssuer,
    /// For somebody else.
    WrongAudience,
    /// It can't be told now: the keys could not be had. Why is for the log, not for the client.
    Unavailable(String),
}

impl Refused {
    /// For the client: the `error_description` of RFC 6750, section 3.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed => "the token is malformed",
            Self::UnknownKey => "the token is signed with an unknown key",
            Self::Signature => "the signature of the token is wrong",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::WrongIssuer => "the token is from another issuer",
            Self::WrongAudience => "the token is for another audience",
            Self::Unavailable(_) => "the token can't be verified at present",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Refused {}

/// Who issued the token by its own account, which nobody has verified: says whom to ask, no more.
pub fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    dangerous::insecure_decode_claims::<Issuer>(token)
        .ok()
        .map(|claims| claims.iss)
}

/// The algorithm and the key that the header names. Extensions that have to be understood (`crit`) are not.
pub(super) fn named_key(token: &str) -> Result<(Algorithm, String), Refused> {
    let header = decode_header(token).map_err(|_| Refused::Malformed)?;
    match header {
        Header {
            crit: None,
            alg,
            kid: Some(kid),
            ..
        } if !kid.is_empty() => Ok((alg, kid)),
        _ => Err(Refused::Malformed),
    }
}

/// The claims, if `key` signed them with that very algorithm. Nothing in them has been looked at.
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
