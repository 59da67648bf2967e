//! A mock OIDC issuer on this host, whose documents a test can change, and keys that sign
//! its tokens.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Encodes a part of a token.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A signing key of an issuer.
pub enum Signer {
    /// A key for RS256.
    Rsa(RsaKeyPair),
    /// A key for ES256.
    Ec(EcdsaKeyPair),
}

impl Signer {
    /// Generates an RSA key of 2048 bits.
    pub fn rsa() -> Self {
        let mut openssl = Command::new("openssl");
        openssl.args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-outform",
            "DER",
        ]);
        let made = openssl.stderr(Stdio::null()).output().unwrap();
        assert!(made.status.success());
        Self::Rsa(
            RsaKeyPair::from_pkcs8(&made.stdout)
                .or_else(|_| RsaKeyPair::from_der(&made.stdout))
                .unwrap(),
        )
    }

    /// Generates an EC key on the curve P-256.
    pub fn ec() -> Self {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self::Ec(
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
                .unwrap(),
        )
    }

    /// Returns the algorithm, as a token's header names it.
    pub fn alg(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        }
    }

    /// Returns the public key, as the issuer publishes it.
    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                let (n, e) = (base64url(public.n), base64url(public.e));
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n, "e": e})
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
                json!({"kty": "EC", "kid": kid, "use": "sig", "crv": "P-256", "x": x, "y": y})
            }
        }
    }

    /// Returns a token with this header and these claims.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            base64url(header.to_string()),
            base64url(claims.to_string())
        );
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    message.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
            Self::Ec(key) => key
                .sign(&random, message.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
        };
        format!("{message}.{}", base64url(signature))
    }

    /// Returns a token with these claims and the header of this key.
    pub fn token(&self, kid: &str, claims: &Value) -> String {
        self.token_with(
            &json!({"alg": self.alg(), "kid": kid, "typ": "JWT"}),
            claims,
        )
    }
}

/// The issuer's documents, and the count of requests for each.
#[derive(Default)]
pub struct Answers {
    discovery: Mutex<String>,
    keys: Mutex<String>,
    discoveries: AtomicUsize,
    key_fetches: AtomicUsize,
}

/// An issuer on a free or a given port.
pub struct MockIssuer {
    /// The issuer's identifier.
    pub url: String,
    answers: Arc<Answers>,
    server: JoinHandle<()>,
}

impl MockIssuer {
    /// Starts an issuer on a free port.
    pub async fn start(keys: &[Value]) -> Self {
        Self::start_at("127.0.0.1:0", keys).await
    }

    /// Starts an issuer on a given address, for a stack that is configured with it.
    pub async fn start_at(address: &str, keys: &[Value]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}/realms/test", listener.local_addr().unwrap());
        let answers = Arc::new(Answers::default());
        let router = Router::new()
            .route(
                "/realms/test/.well-known/openid-configuration",
                get(discovery),
            )
            .route("/realms/test/certs", get(key_set))
            .with_state(answers.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let issuer = Self {
            url,
            answers,
            server,
        };
        issuer
            .discover(&json!({"issuer": issuer.url, "jwks_uri": format!("{}/certs", issuer.url)}));
        issuer.publish(keys);
        issuer
    }

    /// Replaces the discovery document.
    pub fn discover(&self, document: &Value) {
        *self.answers.discovery.lock().unwrap() = document.to_string();
    }

    /// Replaces the keys.
    pub fn publish(&self, keys: &[Value]) {
        *self.answers.keys.lock().unwrap() = json!({ "keys": keys }).to_string();
    }

    /// Returns how often the discovery document and the keys were requested.
    pub fn asked(&self) -> (usize, usize) {
        (
            self.answers.discoveries.load(Ordering::Relaxed),
            self.answers.key_fetches.load(Ordering::Relaxed),
        )
    }

    /// Makes all further requests for the keys fail.
    pub fn fail(&self) {
        self.answers.keys.lock().unwrap().clear();
    }

    /// Stops the server.
    pub async fn stop(&mut self) {
        self.server.abort();
        (&mut self.server).await.ok();
    }
}

async fn discovery(State(answers): State<Arc<Answers>>) -> impl IntoResponse {
    answers.discoveries.fetch_add(1, Ordering::Relaxed);
    let document = answers.discovery.lock().unwrap().clone();
    // A document that is only a URL is returned as a redirect to it.
    if document.starts_with("\"http") {
        return (
            StatusCode::FOUND,
            [("location", document.trim_matches('"').to_owned())],
            String::new(),
        )
            .into_response();
    }
    document.into_response()
}

async fn key_set(State(answers): State<Arc<Answers>>) -> impl IntoResponse {
    answers.key_fetches.fetch_add(1, Ordering::Relaxed);
    let keys = answers.keys.lock().unwrap().clone();
    if keys.is_empty() {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    } else {
        keys.into_response()
    }
}
