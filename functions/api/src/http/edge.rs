//! Requests through CloudFront (`infra/aws/edge.yaml`): the gateway then reports CloudFront's address,
//! and the caller's is in a header, which is believed only together with a shared secret.

use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName},
};
use chrono::Utc;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::platform::{
    config::{Env, KeySource},
    refreshing::Refreshing,
};

use crate::http::{error::ApiError, origin::Gateway, problems};

/// The header with the secret, which CloudFront adds.
const PROOF: HeaderName = HeaderName::from_static("x-origin-proof");
/// The header with the caller's address, which CloudFront replaces in each request.
const VIEWER_ADDRESS: HeaderName = HeaderName::from_static("x-viewer-address");
/// Monitoring may call it directly: it contains no data.
const OPEN_PATH: &str = "/health";
const PROOF_BYTES: usize = 32;

/// The secret that CloudFront adds to each request.
#[derive(Deserialize)]
struct Proofs {
    /// The present one.
    proof: SecretString,
    /// The one before, while CloudFront may still send it.
    previous: Option<SecretString>,
}

impl Proofs {
    /// Reads `{"proof": "…", "previous": "…"}`. No error shows a secret.
    fn read(json: &str) -> anyhow::Result<Self> {
        let proofs: Self = serde_json::from_str(json)
            .ok()
            .context("expected JSON with proof, and perhaps previous")?;
        let is_long = |proof: &SecretString| proof.expose_secret().len() >= PROOF_BYTES;
        ensure!(
            is_long(&proofs.proof) && proofs.previous.as_ref().is_none_or(is_long),
            "expected a proof of {PROOF_BYTES} bytes at least"
        );
        Ok(proofs)
    }

    /// Whether a header is one of the proofs. The comparison of hashes takes the same time for each
    /// wrong one that can be chosen.
    fn contain(&self, given: &[u8]) -> bool {
        let given = digest(&SHA256, given);
        let is_it = |proof: &SecretString| {
            digest(&SHA256, proof.expose_secret().as_bytes()).as_ref() == given.as_ref()
        };
        is_it(&self.proof) || self.previous.as_ref().is_some_and(is_it)
    }
}

/// Returns the source of the secret: one of `ORIGIN_PROOF` and `ORIGIN_PROOF_SECRET_ARN`; `None` if
/// neither is set, since callers then reach the gateway directly.
pub fn proof_source(env: &mut Env) -> Option<KeySource> {
    const PLAIN: &str = "ORIGIN_PROOF";
    const ARN: &str = "ORIGIN_PROOF_SECRET_ARN";
    let plain = env.optional(PLAIN, "the proof as JSON");
    let arn = env.optional(ARN, "the ARN of a secret with it");
    if plain.is_none() && arn.is_none() {
        return None;
    }
    Some(env.key_source(PLAIN, ARN, |proofs| Proofs::read(proofs).map(drop)))
}

/// Believes CloudFront, and nobody else.
#[derive(Clone, Default)]
pub struct Edge {
    proofs: Option<Refreshing<Proofs>>,
}

impl Edge {
    /// Reads the secret. `None`: callers reach the gateway directly.
    pub async fn open(source: Option<KeySource>) -> anyhow::Result<Self> {
        let Some(source) = source else {
            return Ok(Self::default());
        };
        let proofs = Refreshing::open(source, Proofs::read).await;
        let proofs = Some(proofs.context("the proof of the edge")?);
        Ok(Self { proofs })
    }

    /// Gives the request its caller's address. Fails with 403 for a request that did not come through
    /// the edge, which would avoid its firewall.
    pub async fn admit(&self, request: &mut Request) -> Result<(), ApiError> {
        let Some(proofs) = &self.proofs else {
            return Ok(());
        };
        if !is_proved(proofs, request.headers()).await {
            if request.uri().path() == OPEN_PATH {
                return Ok(());
            }
            let detail = "expected a request to the address that this API publishes";
            return Err(ApiError::Refused(&problems::FORBIDDEN, detail.to_owned()));
        }
        let address = request.headers().get(VIEWER_ADDRESS);
        let address = address.and_then(|address| address.to_str().ok());
        let address = address.map(str::to_owned);
        let gateway = request.extensions_mut().get_or_insert_default::<Gateway>();
        gateway.address = address;
        Ok(())
    }
}

/// Whether the request has the secret; it is read again at most once a minute.
async fn is_proved(proofs: &Refreshing<Proofs>, headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(PROOF) else {
        return false;
    };
    let known: Arc<Proofs> = proofs.current();
    if known.contain(given.as_bytes()) {
        return true;
    }
    let newer = proofs.newer_than(&known, Utc::now()).await;
    newer.is_ok_and(|newer| newer.is_some_and(|newer| newer.contain(given.as_bytes())))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const NEW: &str = "0123456789abcdef0123456789abcdef";
    const OLD: &str = "fedcba9876543210fedcba9876543210";

    async fn edge() -> Edge {
        let json = serde_json::json!({"proof": NEW, "previous": OLD}).to_string();
        Edge::open(Some(KeySource::Fixed(json.into())))
            .await
            .unwrap()
    }

    fn request(path: &str, proof: Option<&str>) -> Request {
        let mut request = Request::builder().uri(path);
        request = request.header(VIEWER_ADDRESS, "2001:db8::7");
        if let Some(proof) = proof {
            request = request.header(PROOF, proof);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let address = Some("198.51.100.1".to_owned());
        request.extensions_mut().insert(Gateway {
            address,
            request_id: None,
        });
        request
    }

    fn address(request: &Request) -> Option<&str> {
        let gateway = request.extensions().get::<Gateway>().unwrap();
        gateway.address.as_deref()
    }

    #[tokio::test]
    async fn the_address_is_the_callers_if_the_edge_has_proved_itself() {
        for proof in [NEW, OLD] {
            let mut request = request("/v1/me", Some(proof));
            edge().await.admit(&mut request).await.unwrap();
            assert_eq!(address(&request), Some("2001:db8::7"));
        }
    }

    #[tokio::test]
    async fn without_the_proof_only_the_health_check_is_admitted() {
        for proof in [None, Some(""), Some("0123")] {
            let mut direct = request("/v1/me", proof);
            let refused = edge().await.admit(&mut direct).await;
            assert!(matches!(refused, Err(ApiError::Refused(problem, _)) if problem.status == 403));
            let mut health = request("/health", proof);
            edge().await.admit(&mut health).await.unwrap();
            assert_eq!(address(&health), Some("198.51.100.1"));
        }
    }

    #[tokio::test]
    async fn without_an_edge_the_header_is_not_believed() {
        let mut request = request("/v1/me", Some(NEW));
        let edge = Edge::open(None).await.unwrap();
        edge.admit(&mut request).await.unwrap();
        assert_eq!(address(&request), Some("198.51.100.1"));
    }

    #[test]
    fn a_short_or_malformed_proof_is_refused() {
        for wrong in ["", "abc", r#"{"proof": "short"}"#, r#"{"previous": "x"}"#] {
            let error = Proofs::read(wrong).err().map(|error| error.to_string());
            assert!(
                error.is_some_and(|error| !error.contains("short")),
                "{wrong}"
            );
        }
    }
}
