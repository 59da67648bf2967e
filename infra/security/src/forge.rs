//! Builds access tokens, so that each can be wrong in one respect. They are signed with the stack's
//! own key, which only the stack's owner can read.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use demo::stack::Stack;
use ring::hmac;
use serde_json::{Value, json};

/// The key with which the stack signs access tokens.
pub struct SigningKey {
    kid: String,
    key: Vec<u8>,
}

/// Encodes a part of a token.
pub fn encode(part: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part)
}

/// Decodes a part of a token.
pub fn decode(part: &str) -> anyhow::Result<Vec<u8>> {
    Ok(BASE64_URL_SAFE_NO_PAD.decode(part)?)
}

/// Returns the claims of a token without verifying it.
pub fn claims(token: &str) -> anyhow::Result<Value> {
    let part = token.split('.').nth(1).context("a token has three parts")?;
    Ok(serde_json::from_slice(&decode(part)?)?)
}

/// Returns the Unix time a number of seconds from now.
pub fn seconds_from_now(seconds: i64) -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
        + seconds
}

impl SigningKey {
    /// Reads the key of the stack that `STACK_ENV` names.
    pub fn of_stack() -> anyhow::Result<Self> {
        let keys: Value = serde_json::from_str(Stack::from_environment()?.value("JWT_KEYS")?)?;
        let text = |member: &str| {
            keys[member]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("JWT_KEYS has no {member}"))
        };
        Ok(Self {
            kid: text("kid")?,
            key: text("key")?.into_bytes(),
        })
    }

    /// Returns the header of a valid token.
    pub fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": "HS256", "kid": self.kid})
    }

    /// Signs a token with this key, regardless of its content.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        sign(&self.key, header, claims)
    }
}

/// Signs a token with HS256 and any key, regardless of the header.
pub fn sign(key: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    );
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    format!("{message}.{}", encode(signature))
}

/// Returns the secret with which the stack's simulator signs receipts.
pub fn callback_secret() -> anyhow::Result<String> {
    let secrets: Value =
        serde_json::from_str(Stack::from_environment()?.value("CALLBACK_SECRETS")?)?;
    secrets["sim"]
        .as_str()
        .map(str::to_owned)
        .context("CALLBACK_SECRETS has no sim")
}

/// Returns the value of `X-Callback-Signature` for a callback, with any secret.
pub fn sign_callback(secret: &[u8], timestamp: &str, body: &str) -> String {
    let signature = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret),
        format!("{timestamp}.{body}").as_bytes(),
    );
    let hex = signature
        .as_ref()
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("v1={hex}")
}
