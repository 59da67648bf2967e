//! The keys of an issuer, RFC 7517: those that can be used here, each with the one algorithm that it is for.

use anyhow::{Context, ensure};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;

/// What issuers sign with. Nothing symmetric: their keys are public.
pub(super) const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// RFC 7518, section 3.3.
const RSA_BITS: usize = 2048;

/// A key that verifies signatures.
pub(super) struct Key {
    /// Its name in the headers of tokens.
    pub kid: String,
    /// The only one that it is for.
    pub algorithm: Algorithm,
    /// The key itself.
    pub decoding: DecodingKey,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys that can be used here, at least one. Others beside them are no fault: an issuer may also encrypt, or be ahead of us.
pub(super) fn read(document: &[u8]) -> anyhow::Result<Vec<Key>> {
    let set: KeySet = serde_json::from_slice(document)
        .ok()
        .context("not a set of keys")?;
    let given = set.keys.len();
    let keys: Vec<Key> = set
        .keys
        .into_iter()
        .filter_map(|key| usable(serde_json::from_value(key).ok()?))
        .collect();
    ensure!(
        !keys.is_empty(),
        "none of its {given} keys can be used here: expected RS256 or ES256, with a kid"
    );
    Ok(keys)
}

fn usable(jwk: Jwk) -> Option<Key> {
    let signs = jwk.r#use.is_none_or(|r#use| r#use == "sig")
        && jwk
            .key_ops
            .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    let (name, algorithm, decoding) = match jwk.kty.as_str() {
        "RSA" => ("RS256", Algorithm::RS256, rsa(&jwk.n?, &jwk.e?)?),
        "EC" if jwk.crv? == "P-256" => ("ES256", Algorithm::ES256, p256(&jwk.x?, &jwk.y?)?),
        _ => return None,
    };
    let is_its_algorithm = jwk.alg.is_none_or(|alg| alg == name);
    (signs && is_its_algorithm && !jwk.kid.is_empty()).then_some(Key {
        kid: jwk.kid,
        algorithm,
        decoding,
    })
}

/// `None` for a key that is too short, whatever zeros stand before it.
fn rsa(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let key = DecodingKey::from_rsa_components(modulus, exponent).ok()?;
    let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
        return None;
    };
    let (n, e) = (without_zeros(n), without_zeros(e));
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    (bits >= RSA_BITS).then(|| DecodingKey::from_rsa_raw_components(n, e))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

/// A point: 4, and two numbers of 32 bytes.
fn p256(x: &str, y: &str) -> Option<DecodingKey> {
    let key = DecodingKey::from_ec_components(x, y).ok()?;
    (x.len() == y.len() && key.try_get_as_bytes().ok()?.len() == 65).then_some(key)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn rsa_key(modulus: &[u8]) -> Value {
        json!({"kty": "RSA", "kid": "a", "alg": "RS256", "use": "sig", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(modulus), "x5c": [1]})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn a_key_is_for_one_algorithm_and_for_signatures() {
        let rsa = rsa_key(&[0xff; 256]);
        let half = URL_SAFE_NO_PAD.encode([7; 32]);
        let ec = json!({"kty": "EC", "kid": "b", "crv": "P-256", "x": half, "y": half});
        let longer = URL_SAFE_NO_PAD.encode([7; 33]);
        let shorter = URL_SAFE_NO_PAD.encode([7; 31]);
        let table = [
            (rsa.clone(), Some(Algorithm::RS256)),
            (
                with(rsa.clone(), "alg", Value::Null),
                Some(Algorithm::RS256),
            ),
            (
                with(rsa.clone(), "use", Value::Null),
                Some(Algorithm::RS256),
            ),
            (with(rsa.clone(), "alg", json!("RSA-OAEP")), None),
            (with(rsa.clone(), "alg", json!("RS512")), None),
            (with(rsa.clone(), "alg", json!("HS256")), None),
            (with(rsa.clone(), "use", json!("enc")), None),
            (with(rsa.clone(), "key_ops", json!(["encrypt"])), None),
            (
                with(rsa.clone(), "key_ops", json!(["verify"])),
                Some(Algorithm::RS256),
            ),
            (with(rsa.clone(), "kid", json!("")), None),
            (with(rsa.clone(), "kid", Value::Null), None),
            (with(rsa, "n", json!("=")), None),
            (rsa_key(&[]), None),
            (rsa_key(&[0x80; 256]), Some(Algorithm::RS256)),
            (rsa_key(&[0x7f; 256]), None),
            (rsa_key(&[0xff; 128]), None),
            (rsa_key(&[vec![0; 128], vec![0xff; 128]].concat()), None),
            (
                rsa_key(&[vec![0], vec![0xff; 256]].concat()),
                Some(Algorithm::RS256),
            ),
            (ec.clone(), Some(Algorithm::ES256)),
            (with(ec.clone(), "crv", json!("P-384")), None),
            (with(ec.clone(), "alg", json!("RS256")), None),
            (
                with(with(ec.clone(), "x", json!(longer)), "y", json!(shorter)),
                None,
            ),
            (with(ec, "y", Value::Null), None),
            (json!({"kty": "oct", "kid": "c", "k": "c2VjcmV0"}), None),
            (json!("key"), None),
        ];
        for (key, expected) in table {
            let keys = read(json!({"keys": [key, null]}).to_string().as_bytes());
            assert_eq!(keys.ok().map(|keys| keys[0].algorithm), expected, "{key}");
        }
        assert!(read(b"{}").is_err() && read(b"{\"keys\":[]}").is_err());
    }
}
