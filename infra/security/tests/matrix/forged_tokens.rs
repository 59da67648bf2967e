//! Tokens that claim to be the admin's, each wrong in one respect.

use security::{
    Target,
    forge::{self, SigningKey, seconds_from_now},
};
use serde_json::{Value, json};

use super::credentials::Credential;

/// The parts of a valid token, from which the forged ones are made.
struct ValidToken {
    key: SigningKey,
    header: Value,
    claims: Value,
}

/// Returns `base` with one member replaced.
fn with(base: &Value, member: &str, value: Value) -> Value {
    let mut changed = base.clone();
    changed[member] = value;
    changed
}

/// Returns `base` without one member.
fn without(base: &Value, member: &str) -> Value {
    let mut changed = base.clone();
    changed.as_object_mut().unwrap().remove(member);
    changed
}

impl ValidToken {
    /// Returns a signed token with one claim replaced.
    fn claim(&self, member: &str, value: Value) -> String {
        self.key
            .sign(&self.header, &with(&self.claims, member, value))
    }

    /// Returns a signed token with one member of the header replaced.
    fn head(&self, member: &str, value: Value) -> String {
        self.key
            .sign(&with(&self.header, member, value), &self.claims)
    }

    /// Returns a token with an algorithm and without a signature.
    fn unsigned(&self, alg: &str) -> String {
        format!(
            "{}.{}.",
            forge::encode(with(&self.header, "alg", json!(alg)).to_string()),
            forge::encode(self.claims.to_string())
        )
    }
}

/// Returns the credentials with forged tokens.
pub fn forged(target: &Target) -> Vec<Credential> {
    let key = SigningKey::of_stack().unwrap();
    let valid = ValidToken {
        header: key.header(),
        claims: forge::claims(target.admin()).unwrap(),
        key,
    };
    let tokens = wrong_claims(&valid)
        .into_iter()
        .chain(wrong_headers(&valid))
        .chain(wrong_signatures(&valid));
    tokens
        .map(|(name, token)| Credential::invalid(name, format!("Bearer {token}")))
        .collect()
}

fn wrong_claims(valid: &ValidToken) -> Vec<(&'static str, String)> {
    let claim = |member: &str, value: Value| valid.claim(member, value);
    let no_exp = without(&valid.claims, "exp");
    vec![
        ("expired", claim("exp", json!(seconds_from_now(-60)))),
        // Longer than the calls of all routes take.
        ("not yet valid", claim("nbf", json!(seconds_from_now(600)))),
        ("exp as a text", claim("exp", json!("9999999999"))),
        ("nbf as a text", claim("nbf", json!("0"))),
        ("without exp", valid.key.sign(&valid.header, &no_exp)),
        (
            "another issuer",
            claim("iss", json!("https://issuer.example.com")),
        ),
        ("another audience", claim("aud", json!("another"))),
        (
            "another user's session",
            claim("sub", json!("018f0000-0000-7000-8000-000000000000")),
        ),
        (
            "an unknown session",
            claim("sid", json!("018f0000-0000-7000-8000-000000000000")),
        ),
        ("sid as SQL", claim("sid", json!("' OR 1=1 -- "))),
    ]
}

fn wrong_headers(valid: &ValidToken) -> Vec<(&'static str, String)> {
    let head = |member: &str, value: Value| valid.head(member, value);
    let no_key_id = without(&valid.header, "kid");
    vec![
        ("unknown key id", head("kid", json!("another"))),
        ("key id as a path", head("kid", json!("../../dev/null"))),
        (
            "without a key id",
            valid.key.sign(&no_key_id, &valid.claims),
        ),
        ("HS256 declared as RS256", head("alg", json!("RS256"))),
        ("HS256 declared as HS512", head("alg", json!("HS512"))),
        ("alg none, signed", head("alg", json!("none"))),
    ]
}

fn wrong_signatures(valid: &ValidToken) -> Vec<(&'static str, String)> {
    let signed_with = |key: &[u8]| forge::sign(key, &valid.header, &valid.claims);
    vec![
        ("alg none, unsigned", valid.unsigned("none")),
        ("alg nOnE, unsigned", valid.unsigned("nOnE")),
        ("HS256, unsigned", valid.unsigned("HS256")),
        ("signed with an empty key", signed_with(b"")),
        (
            "signed with another key",
            signed_with(b"another key of thirty-two characters"),
        ),
    ]
}
