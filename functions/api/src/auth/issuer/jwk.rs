//! The keys of an issuer (RFC 7517): the usable ones, each with its only algorithm.

use anyhow::{Context, ensure};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;

/// The algorithms of issuers. None is symmetric, because their keys are public.
pub(super) const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// Bits of an RSA key, at least (RFC 7518, section 3.3).
const RSA_BITS: usize = 2048;

/// A key that verifies signatures.
pub(super) struct Key {
    /// The name of the key in the headers of tokens.
    pub kid: String,
    /// The only algorithm of the key.
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

/// Returns the usable keys, at least one. Other keys are ignored: an issuer may also encrypt, or
/// use newer algorithms.
pub(super) fn read(document: &[u8]) -> anyhow::Result<Vec<Key>> {
    let set: KeySet = serde_json::from_slice(document)
        .ok()
        .context("not a key set")?;
    let given = set.keys.len();
    let keys: Vec<Key> = set
        .keys
        .into_iter()
        .filter_map(|key| usable(serde_json::from_value(key).ok()?))
        .collect();
    ensure!(
        !keys.is_empty(),
        "none of its {given} keys is usable: expected RS256 or ES256, with a kid"
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

/// Returns an RSA key; `None` if it is too short, not counting leading zeros.
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

/// Returns a P-256 key: a point, which is the byte 4 and two numbers of 32 bytes.
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

    fn ec_key(x: &[u8], y: &[u8]) -> Value {
        let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "kid": "b", "crv": "P-256", "x": encode(x), "y": encode(y)})
    }

    fn assert_algorithms(table: impl IntoIterator<Item = (Value, Option<Algorithm>)>) {
        for (key, expected) in table {
            let keys = read(json!({"keys": [key, null]}).to_string().as_bytes());
            assert_eq!(keys.ok().map(|keys| keys[0].algorithm), expected, "{key}");
        }
    }

    #[test]
    fn a_key_has_one_algorithm_and_verifies_signatures() {
        let rsa = rsa_key(&[0xff; 256]);
        let ec = ec_key(&[7; 32], &[7; 32]);
        let (rs256, es256) = (Some(Algorithm::RS256), Some(Algorithm::ES256));
        assert_algorithms([
            (rsa.clone(), rs256),
            (with(rsa.clone(), "alg", Value::Null), rs256),
            (with(rsa.clone(), "use", Value::Null), rs256),
            (with(rsa.clone(), "alg", json!("RSA-OAEP")), None),
            (with(rsa.clone(), "alg", json!("RS512")), None),
            (with(rsa.clone(), "alg", json!("HS256")), None),
            (with(rsa.clone(), "use", json!("enc")), None),
            (with(rsa.clone(), "key_ops", json!(["encrypt"])), None),
            (with(rsa.clone(), "key_ops", json!(["verify"])), rs256),
            (with(rsa.clone(), "kid", json!("")), None),
            (with(rsa, "kid", Value::Null), None),
            (ec.clone(), es256),
            (with(ec.clone(), "crv", json!("P-384")), None),
            (with(ec.clone(), "alg", json!("RS256")), None),
            (json!({"kty": "oct", "kid": "c", "k": "c2VjcmV0"}), None),
            (json!("key"), None),
        ]);
        assert!(read(b"{}").is_err() && read(b"{\"keys\":[]}").is_err());
    }

    #[test]
    fn a_key_has_the_right_length() {
        let rs256 = Some(Algorithm::RS256);
        assert_algorithms([
            (with(rsa_key(&[0xff; 256]), "n", json!("=")), None),
            (rsa_key(&[]), None),
            (rsa_key(&[0x80; 256]), rs256),
            (rsa_key(&[0x7f; 256]), None),
            (rsa_key(&[0xff; 128]), None),
            (rsa_key(&[vec![0; 128], vec![0xff; 128]].concat()), None),
            (rsa_key(&[vec![0], vec![0xff; 256]].concat()), rs256),
            (ec_key(&[7; 33], &[7; 31]), None),
            (with(ec_key(&[7; 32], &[7; 32]), "y", Value::Null), None),
        ]);
    }
}
