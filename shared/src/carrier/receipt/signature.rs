//! The signature of a call with receipts: `X-Callback-Timestamp` (Unix seconds) and
//! `X-Callback-Signature: v1=HEX`, the HMAC-SHA256 of time stamp, full stop and body as received. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// A signature is valid while its time stamp is no further than this from the clock, so that a
/// recorded request cannot be replayed later.
const RECEIPT_AGE: TimeDelta = TimeDelta::minutes(5);

/// The header with the time stamp.
pub const TIMESTAMP: &str = "x-callback-timestamp";
/// The header with the signatures.
pub const SIGNATURE: &str = "x-callback-signature";
/// The largest number of signatures that are looked at. A carrier that rotates its secret signs with
/// two secrets for a while.
const MAX_SIGNATURES: usize = 8;

/// The signatures of a request whose time stamp is within five minutes of now.
pub struct Signed<'a> {
    timestamp: &'a str,
    signatures: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    /// Reads the headers. The error states what was expected.
    pub fn read(headers: &'a HeaderMap, now: DateTime<Utc>) -> Result<Self, &'static str> {
        let one = |name| {
            let mut given = headers.get_all(name).iter();
            given
                .next()
                .filter(|_| given.next().is_none())
                .and_then(|value| value.to_str().ok())
        };
        let timestamp = one(TIMESTAMP).filter(|text| {
            (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        });
        let timestamp =
            timestamp.ok_or("expected one X-Callback-Timestamp, in seconds of Unix time")?;
        let seconds: i64 = timestamp.parse().unwrap_or_default();
        if (now.timestamp() - seconds).abs() > RECEIPT_AGE.num_seconds() {
            return Err("expected an X-Callback-Timestamp within five minutes of now");
        }
        let signatures = one(SIGNATURE).and_then(read_signatures);
        let signatures = signatures
            .ok_or("expected one X-Callback-Signature, as v1= and 64 hexadecimal digits")?;
        Ok(Self {
            timestamp,
            signatures,
        })
    }

    /// Returns whether one of the signatures was made with one of these secrets. The comparison takes
    /// constant time.
    pub fn is_by(&self, secrets: &[SecretString], body: &[u8]) -> bool {
        let mut message = Vec::with_capacity(self.timestamp.len() + 1 + body.len());
        message.extend_from_slice(self.timestamp.as_bytes());
        message.push(b'.');
        message.extend_from_slice(body);
        secrets.iter().any(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
            self.signatures
                .iter()
                .any(|signature| hmac::verify(&key, &message, signature).is_ok())
        })
    }
}

/// Reads the signatures of version 1, and ignores those of other versions.
fn read_signatures(header: &str) -> Option<Vec<Vec<u8>>> {
    let ours = header
        .split(',')
        .filter_map(|signature| signature.trim().strip_prefix("v1="))
        .take(MAX_SIGNATURES);
    let signatures = ours.map(read_hex).collect::<Option<Vec<_>>>()?;
    (!signatures.is_empty()).then_some(signatures)
}

/// The 32 bytes of a SHA-256.
fn read_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..32)
        .map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of at least thirty-two characters";
    /// Of "1700000000." and `{"a":1}`, as `openssl dgst -sha256 -hmac` makes it.
    const KNOWN: &str = "v1=cb5c9bde0ba6075466cd14994c9a88ee1159c402cb7da4573dd9fa772b992bd3";

    fn headers(timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TIMESTAMP, timestamp.parse().unwrap());
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_signature_matches_that_of_another_program() {
        let now = at(1_700_000_000);
        let (mine, other) = (
            [SecretString::from(SECRET)],
            [SecretString::from(
                "another secret of thirty-two characters",
            )],
        );
        let upper = KNOWN.to_uppercase().replace("V1", "v1");
        let two = format!("v1={}, v0=x,{KNOWN}", "0".repeat(64));
        for signature in [KNOWN, &upper, &two] {
            let headers = headers("1700000000", signature);
            let signed = Signed::read(&headers, now).unwrap();
            assert!(signed.is_by(&mine, br#"{"a":1}"#), "{signature}");
            assert!(
                signed.is_by(&[other[0].clone(), mine[0].clone()], br#"{"a":1}"#),
                "the second secret"
            );
            assert!(!signed.is_by(&other, br#"{"a":1}"#) && !signed.is_by(&[], br#"{"a":1}"#));
            assert!(
                !signed.is_by(&mine, br#"{"a":2}"#)
                    && !signed.is_by(&mine, br#" {"a":1}"#)
                    && !signed.is_by(&mine, b"")
            );
        }
        let later = headers("1700000001", KNOWN);
        assert!(
            !Signed::read(&later, now)
                .unwrap()
                .is_by(&mine, br#"{"a":1}"#),
            "the time is signed too"
        );
    }

    #[test]
    fn a_time_stamp_is_valid_for_five_minutes() {
        let headers = headers("1700000000", KNOWN);
        for (now, good) in [
            (0, true),
            (300, true),
            (301, false),
            (-300, true),
            (-301, false),
            (86_400, false),
        ] {
            assert_eq!(
                Signed::read(&headers, at(1_700_000_000 + now)).is_ok(),
                good,
                "{now}"
            );
        }
    }

    #[test]
    fn a_malformed_signature_is_refused() {
        let now = at(1_700_000_000);
        let zeros = "0".repeat(64);
        for timestamp in [
            "",
            "x",
            "-1700000000",
            "+1700000000",
            "1700000000.0",
            " 1",
            "1700000000000",
            "9999999999999999999",
            "0",
        ] {
            assert!(
                Signed::read(&headers(timestamp, KNOWN), now).is_err(),
                "{timestamp}"
            );
        }
        for signature in [
            "",
            "v1=",
            &zeros,
            &format!("v2={zeros}"),
            &format!("v1={}", &zeros[1..]),
            &format!("v1={zeros}0"),
            "v1=é",
        ] {
            let mut given = headers("1700000000", KNOWN);
            given.insert(
                SIGNATURE,
                reqwest::header::HeaderValue::from_bytes(signature.as_bytes()).unwrap(),
            );
            assert!(Signed::read(&given, now).is_err(), "{signature}");
        }
        for name in [TIMESTAMP, SIGNATURE] {
            let mut given = headers("1700000000", KNOWN);
            given.append(name, given[name].clone());
            assert!(Signed::read(&given, now).is_err(), "{name} twice");
            given.remove(name);
            assert!(Signed::read(&given, now).is_err(), "no {name}");
        }
    }
}
