//! The cryptography of tokens: a provider of the crate `jsonwebtoken` that uses `ring`, as TLS
//! does. It supports HS256 for the tokens of this API, RS256 and ES256 for those of an issuer; any
//! other algorithm is an error.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{Error, Signer, Verifier},
};
use ring::{
    error::Unspecified,
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    },
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| signer(*algorithm, key),
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    // Keys are never converted to JWKs here. The defaults of the library panic; these return
    // errors.
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| unsupported(),
        rsa_pub_components_from_public_key: |_| unsupported(),
        ec_pub_components_from_private_key: |_, _| unsupported(),
        ed_pub_components_from_private_key: |_, _| unsupported(),
        compute_digest: |_, _| unsupported(),
    },
};

/// Installs the provider for this process. Must be called before the first token is signed or
/// verified; may be called several times.
pub fn install() {
    // It fails only if a provider is installed already.
    PROVIDER.install_default().ok();
}

fn unsupported<T>() -> Result<T> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

/// Converts the error of ring, which contains no reason.
fn wrong(_: Unspecified) -> Error {
    Error::new()
}

/// HS256, which signs and verifies.
struct Hmac(hmac::Key);

impl Hmac {
    fn new(family: AlgorithmFamily, key: &[u8]) -> Result<Self> {
        if family != AlgorithmFamily::Hmac {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }
}

impl Signer<Vec<u8>> for Hmac {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hmac {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        hmac::verify(&self.0, message, signature).map_err(wrong)
    }
}

impl JwtSigner for Hmac {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hmac {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

/// RS256, which only verifies: PKCS #1 v1.5, keys of 2048 to 8192 bits.
struct Rsa(DecodingKey);

impl Verifier<Vec<u8>> for Rsa {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let algorithm = &RSA_PKCS1_2048_8192_SHA256;
        let verified = match self.0.kind() {
            DecodingKeyKind::SecretOrDer(der) => {
                UnparsedPublicKey::new(algorithm, der).verify(message, signature)
            }
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(algorithm, message, signature)
            }
        };
        verified.map_err(wrong)
    }
}

impl JwtVerifier for Rsa {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// ES256, which only verifies: the signature is r and s, 32 bytes each.
struct Ecdsa(UnparsedPublicKey<Vec<u8>>);

impl Verifier<Vec<u8>> for Ecdsa {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.0.verify(message, signature).map_err(wrong)
    }
}

impl JwtVerifier for Ecdsa {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hmac::new(key.family(), key.as_bytes())?)),
        _ => unsupported(),
    }
}

fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match (algorithm, key.family()) {
        (Algorithm::HS256, family) => Ok(Box::new(Hmac::new(family, key.try_get_as_bytes()?)?)),
        (Algorithm::RS256, AlgorithmFamily::Rsa) => Ok(Box::new(Rsa(key.clone()))),
        (Algorithm::ES256, AlgorithmFamily::Ec) => Ok(Box::new(Ecdsa(UnparsedPublicKey::new(
            &ECDSA_P256_SHA256_FIXED,
            key.try_get_as_bytes()?.to_vec(),
        )))),
        (Algorithm::RS256 | Algorithm::ES256, _) => Err(ErrorKind::InvalidKeyFormat.into()),
        _ => unsupported(),
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{
        crypto::{sign, verify},
        jwk::Jwk,
    };

    use super::*;

    const ALL: [Algorithm; 12] = [
        Algorithm::HS256,
        Algorithm::HS384,
        Algorithm::HS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::EdDSA,
    ];

    #[test]
    fn the_example_of_rfc_7515_verifies() {
        install();
        install();
        // Appendix A.1.
        let key = concat!(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            "=="
        );
        let message = concat!(
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p",
            "c19yb290Ijp0cnVlfQ"
        );
        let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let encoding = EncodingKey::from_urlsafe_base64_secret(key).unwrap();
        assert_eq!(
            sign(message.as_bytes(), &encoding, Algorithm::HS256).unwrap(),
            signature
        );
        let decoding = DecodingKey::from_secret(encoding.as_bytes());
        assert!(verify(signature, message.as_bytes(), &decoding, Algorithm::HS256).unwrap());
        assert!(!verify(signature, b"other", &decoding, Algorithm::HS256).unwrap());
        assert!(!verify("AAAA", message.as_bytes(), &decoding, Algorithm::HS256).unwrap());
    }

    #[test]
    fn other_algorithms_and_keys_are_errors_and_do_not_panic() {
        install();
        let raw = [7; 65];
        let signing = [
            EncodingKey::from_secret(&raw),
            EncodingKey::from_rsa_der(&raw),
            EncodingKey::from_ec_der(&raw),
        ];
        let verifying = [
            (DecodingKey::from_secret(&raw), Algorithm::HS256),
            (DecodingKey::from_rsa_der(&raw), Algorithm::RS256),
            (
                DecodingKey::from_rsa_raw_components(&raw, &[1, 0, 1]),
                Algorithm::RS256,
            ),
            (DecodingKey::from_ec_der(&raw), Algorithm::ES256),
            (DecodingKey::from_ed_der(&raw), Algorithm::HS256),
        ];
        for algorithm in ALL {
            for key in &signing {
                let signs = algorithm == Algorithm::HS256 && key.family() == AlgorithmFamily::Hmac;
                assert_eq!(
                    signer(algorithm, key).is_ok(),
                    signs,
                    "{algorithm:?} {key:?}"
                );
            }
            for (key, own) in &verifying {
                let fits = algorithm == *own && key.family() == algorithm.family();
                assert_eq!(
                    verifier(algorithm, key).is_ok(),
                    fits,
                    "{algorithm:?} {key:?}"
                );
                if fits {
                    assert!(
                        !verify("AAAA", b"message", key, algorithm).unwrap(),
                        "{algorithm:?} {key:?}"
                    );
                }
            }
            for key in signing
                .iter()
                .filter(|key| key.family() != AlgorithmFamily::Hmac)
            {
                assert!(Jwk::from_encoding_key(key, algorithm).is_err());
            }
        }
    }
}
