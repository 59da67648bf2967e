//! The secrets of webhooks, and signatures as in Standard Webhooks (standardwebhooks.com, version
//! 1).
//!
//! A secret is derived from a key of the deployment and the webhook's id whenever it is needed: no
//! row contains one, so read access to the database is not enough to sign.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::platform::config::{NamedKey, read_keys};

/// The keys of the deployment: new webhooks use the first; the others serve the webhooks that were
/// created with them.
#[derive(Debug)]
pub struct WebhookKeys {
    keys: Vec<NamedKey>,
}

impl WebhookKeys {
    /// Reads the keys from JSON, see [`read_keys`].
    pub fn read(json: &str) -> anyhow::Result<Self> {
        Ok(Self {
            keys: read_keys(json)?,
        })
    }

    /// Returns the id of the key for new webhooks.
    pub fn newest(&self) -> &str {
        self.keys.first().map_or("", |key| key.kid.as_str())
    }

    /// Derives the secret of a webhook from its key, its id, and the number of its secret, which
    /// each rotation raises. Returns `None` if the key does not exist any more.
    pub fn secret(&self, kid: &str, webhook: Uuid, secret_no: u32) -> Option<Secret> {
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.key.expose_secret().as_bytes());
        let derived = hmac::sign(
            &key,
            format!("webhook {} {secret_no}", webhook.simple()).as_bytes(),
        );
        Some(Secret(derived.as_ref().to_vec()))
    }

    /// Derives the secret of a person's second factor from its key and its id. Returns `None` if the
    /// key does not exist any more.
    pub fn second_factor(&self, kid: &str, factor: Uuid) -> Option<Vec<u8>> {
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.key.expose_secret().as_bytes());
        let derived = hmac::sign(
            &key,
            format!("second factor {}", factor.simple()).as_bytes(),
        );
        Some(derived.as_ref()[..SECOND_FACTOR_BYTES].to_vec())
    }
}

impl WebhookKeys {
    /// Returns the keyed hash of a number, under the newest key, as the column of an erased number
    /// has it: see [`ERASED`].
    pub fn person_hash(&self, phone: &str) -> String {
        self.keys
            .first()
            .map_or_else(|| ERASED.to_owned(), |key| person_hash(key, phone))
    }

    /// Returns the keyed hashes of a number, under each key: it may have been erased before the last
    /// rotation.
    pub fn person_hashes(&self, phone: &str) -> Vec<String> {
        self.keys
            .iter()
            .map(|key| person_hash(key, phone))
            .collect()
    }
}

/// The first character of what replaces an erased number. No number begins with it, so nothing is
/// sent to it.
pub const ERASED: &str = "#";

/// Characters of a hash, of five bits each. With [`ERASED`], they fill a column of 16 characters whose
/// collation ignores case. Of a hundred million numbers, two have the same hash with a probability of
/// 1 to 10 million.
const HASH_LENGTH: usize = 15;

fn person_hash(key: &NamedKey, phone: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.key.expose_secret().as_bytes());
    let derived = hmac::sign(&key, format!("person {phone}").as_bytes());
    let bits = derived.as_ref()[..16]
        .iter()
        .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let letter = |n: usize| {
        let five = (bits >> (5 * n)) as u8 & 31;
        char::from(if five < 26 {
            b'a' + five
        } else {
            b'2' + five - 26
        })
    };
    ERASED.chars().chain((0..HASH_LENGTH).map(letter)).collect()
}

/// Bytes of the secret of a second factor, as RFC 4226 recommends.
const SECOND_FACTOR_BYTES: usize = 20;

/// The secret of a webhook.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Returns the secret in the form that the webhook's owner gets.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", BASE64_STANDARD.encode(&self.0))
    }

    /// Returns an entry of the header `webhook-signature`, over id, time stamp (Unix seconds) and
    /// body.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> WebhookKeys {
        WebhookKeys::read(&format!(
            r#"[{{"kid":"new","key":"{}"}},{{"kid":"old","key":"{}"}}]"#,
            "n".repeat(32),
            "o".repeat(40)
        ))
        .unwrap()
    }

    #[test]
    fn each_webhook_and_each_rotation_has_its_own_secret() {
        let (keys, id) = (keys(), Uuid::now_v7());
        let reveal = |kid: &str, id, no| keys.secret(kid, id, no).unwrap().reveal();
        assert_eq!(keys.newest(), "new");
        assert_eq!(reveal("new", id, 1), reveal("new", id, 1));
        let others = [
            reveal("old", id, 1),
            reveal("new", Uuid::now_v7(), 1),
            reveal("new", id, 2),
        ];
        assert!(others.iter().all(|other| *other != reveal("new", id, 1)));
        assert!(keys.secret("gone", id, 1).is_none());
    }

    #[test]
    fn the_hash_of_a_number_depends_on_the_key_and_fits_the_column() {
        let keys = keys();
        let hashes = keys.person_hashes("+60123456789");
        assert_eq!(hashes.len(), 2);
        assert_eq!(hashes[0], keys.person_hash("+60123456789"));
        assert_ne!(hashes[0], hashes[1], "each key has its own");
        assert_ne!(hashes[0], keys.person_hash("+60123456788"));
        for hash in hashes {
            let (mark, letters) = hash.split_at(1);
            assert_eq!((mark, letters.len()), (ERASED, HASH_LENGTH));
            let is_allowed = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
            assert!(letters.bytes().all(is_allowed), "{letters}");
        }
    }

    #[test]
    fn the_signature_equals_the_example_of_the_standard() {
        // The example of the standard.
        let secret = Secret(
            BASE64_STANDARD
                .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
                .unwrap(),
        );
        let signed = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_invalid_key_is_refused_without_showing_it() {
        for (given, expected) in [
            ("x", "expected JSON"),
            ("[]", "at least one key"),
            (r#"{"kid":"a","key":"short"}"#, "at least 32 bytes"),
            (
                r#"{"kid":"","key":"0123456789abcdef0123456789abcdef"}"#,
                "a kid of 1 to 64 characters",
            ),
        ] {
            let error = WebhookKeys::read(given).unwrap_err().to_string();
            assert!(
                error.contains(expected) && !error.contains("short"),
                "{given}: {error}"
            );
        }
    }
}
