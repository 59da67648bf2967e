//! The issuer's documents: the discovery document contains the address of the keys, the key set the
//! keys. Both are cached for an hour. An unknown key may be new, so the key set is fetched again,
//! but rarely: any client can make up the name of a key. While the issuer is unavailable, the
//! previous keys stay in use.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use crate::auth::issuer::{
    config::{is_fetchable, without_slash},
    jwk::{self, Key},
};
use crate::auth::tokens::Refused;

/// The time for which a document is cached.
const CACHED_FOR: TimeDelta = TimeDelta::hours(1);

/// The minimum time between two fetches while keys are cached.
const BETWEEN_FETCHES: TimeDelta = TimeDelta::seconds(30);

/// The minimum time between two fetches while no keys are cached, so that no token of the issuer is
/// accepted.
const BETWEEN_FIRST_FETCHES: TimeDelta = TimeDelta::seconds(2);

/// The time limit for one document. A request waits for at most two documents.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of a document, at most: more than a hundred keys with their certificates.
const MAX_BYTES: usize = 256 * 1024;

/// The documents that were fetched last.
#[derive(Clone)]
struct Cached {
    jwks_uri: Url,
    discovered_at: DateTime<Utc>,
    keys: Arc<Vec<Key>>,
    fetched_at: DateTime<Utc>,
}

impl Cached {
    fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid == kid)
    }
}

pub(super) struct Documents {
    issuer: String,
    client: Client,
    cached: RwLock<Option<Cached>>,
    /// When the last fetch began. The holder of the lock fetches.
    last_fetch: Mutex<Option<DateTime<Utc>>>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Documents {
    pub(super) fn new(issuer: &str) -> anyhow::Result<Self> {
        // It fails only if a provider is installed already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = Client::builder()
            .timeout(DOCUMENT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build();
        let client = client.context("the HTTP client for the issuer")?;
        Ok(Self {
            issuer: issuer.to_owned(),
            client,
            cached: RwLock::default(),
            last_fetch: Mutex::default(),
        })
    }

    /// Returns the keys if one of them has this name.
    pub(super) async fn keys_with(
        &self,
        kid: &str,
        now: DateTime<Utc>,
    ) -> Result<Arc<Vec<Key>>, Refused> {
        if let Some(cached) = self.cached().filter(|cached| cached.has(kid)) {
            if is_recent(cached.fetched_at, now, CACHED_FOR) {
                return Ok(cached.keys);
            }
            // One request refreshes the keys; the others do not wait for it.
            let Ok(last_fetch) = self.last_fetch.try_lock() else {
                return Ok(cached.keys);
            };
            self.fetch_again(last_fetch, now).await;
        } else {
            let last_fetch = self.last_fetch.lock().await;
            // Another request may have fetched the key while this one waited.
            if !self.cached().is_some_and(|cached| cached.has(kid)) {
                self.fetch_again(last_fetch, now).await;
            }
        }
        match self.cached() {
            Some(cached) if cached.has(kid) => Ok(cached.keys),
            Some(_) => Err(Refused::UnknownKey),
            None => Err(Refused::Unavailable(
                "the issuer's keys could not be fetched".to_owned(),
            )),
        }
    }

    fn cached(&self) -> Option<Cached> {
        self.cached
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Fetches the documents unless the last fetch was too recent. If it fails, the cache stays
    /// unchanged.
    async fn fetch_again(
        &self,
        mut last_fetch: MutexGuard<'_, Option<DateTime<Utc>>>,
        now: DateTime<Utc>,
    ) {
        let cached = self.cached();
        let pause = if cached.is_some() {
            BETWEEN_FETCHES
        } else {
            BETWEEN_FIRST_FETCHES
        };
        if last_fetch.is_some_and(|last| is_recent(last, now, pause)) {
            return;
        }
        *last_fetch = Some(now);
        match self.fetch(cached, now).await {
            Ok(fetched) => {
                *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
            }
            Err(error) => tracing::error!(
                issuer = self.issuer,
                error = format!("{error:#}"),
                "the issuer's keys could not be fetched"
            ),
        }
    }

    async fn fetch(&self, cached: Option<Cached>, now: DateTime<Utc>) -> anyhow::Result<Cached> {
        let (jwks_uri, discovered_at) = match cached {
            Some(cached) if is_recent(cached.discovered_at, now, CACHED_FOR) => {
                (cached.jwks_uri, cached.discovered_at)
            }
            _ => (
                self.discover().await.context("the discovery document")?,
                now,
            ),
        };
        let document = self
            .document(jwks_uri.clone())
            .await
            .context("the set of keys")?;
        let keys = Arc::new(jwk::read(&document).context("the set of keys")?);
        Ok(Cached {
            jwks_uri,
            discovered_at,
            keys,
            fetched_at: now,
        })
    }

    /// Returns the address of the keys from the discovery document (`OpenID` Connect Discovery,
    /// section 4.3).
    async fn discover(&self) -> anyhow::Result<Url> {
        let url = format!(
            "{}/.well-known/openid-configuration",
            without_slash(&self.issuer)
        );
        let document = self.document(url.parse()?).await?;
        // An error of the parser may quote its input.
        let discovery: Discovery = serde_json::from_slice(&document)
            .ok()
            .context("not a discovery document")?;
        ensure!(
            without_slash(&discovery.issuer) == without_slash(&self.issuer),
            "it belongs to another issuer"
        );
        let jwks_uri: Url = discovery.jwks_uri.parse().context("its jwks_uri")?;
        ensure!(
            is_fetchable(&jwks_uri),
            "its jwks_uri is neither https nor on this host"
        );
        let leaves_tls = self.issuer.starts_with("https:") && jwks_uri.scheme() != "https";
        ensure!(!leaves_tls, "its jwks_uri is not https, as the issuer is");
        Ok(jwks_uri)
    }

    async fn document(&self, url: Url) -> anyhow::Result<Vec<u8>> {
        let mut response = self.client.get(url).send().await?;
        ensure!(
            response.status() == StatusCode::OK,
            "answered with {}",
            response.status()
        );
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            ensure!(
                body.len() + chunk.len() <= MAX_BYTES,
                "is longer than {MAX_BYTES} bytes"
            );
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Returns whether `then` is less than `span` from `now`, also if the clock was set back.
fn is_recent(then: DateTime<Utc>, now: DateTime<Utc>, span: TimeDelta) -> bool {
    (now - then).abs() < span
}
