//! Who calls, and whether he may: a bearer token (an API key, an access token of ours, or one of the configured issuer) becomes a
//! [`Caller`], who has permissions.

pub mod audit;
pub mod limits;
pub mod session_store;
pub mod store;

pub mod caller;
pub mod guard;
pub mod issuer;
pub mod ring_provider;
pub mod tokens;

use std::time::Duration;

use crate::auth::limits::Rate;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, header},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use caller::{Caller, Identity};

use crate::{
    App,
    http::{idempotency::IDEMPOTENCY_KEY, origin::REQUEST_ID},
};

/// What it takes to let somebody in, made once.
#[derive(Clone)]
pub struct Gate {
    /// Our own access tokens.
    pub signing_keys: tokens::SigningKeys,
    /// Another's, where one is configured.
    pub issuer: Option<issuer::Issuer>,
    /// What each caller may ask for.
    pub rate: Rate,
    /// Web pages that may call from a browser.
    pub cors_origins: Vec<HeaderValue>,
}

impl Gate {
    /// For callers that log in here. Fails when the keys can't be read.
    pub async fn open(keys: tokens::KeySource, rate: Rate) -> anyhow::Result<Self> {
        let signing_keys = tokens::SigningKeys::open(keys).await?;
        Ok(Self {
            signing_keys,
            issuer: None,
            rate,
            cors_origins: Vec::new(),
        })
    }
}

/// Browsers' cross-origin calls, from these origins; without any, the headers are never sent, and browsers refuse them all.
pub fn cors(router: Router<App>, origins: &[HeaderValue]) -> Router<App> {
    if origins.is_empty() {
        return router;
    }
    let exposed =
        ["idempotency-replayed", "ratelimit", "ratelimit-policy"].map(HeaderName::from_static);
    router.layer(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.iter().cloned()))
            .allow_methods([
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_NONE_MATCH,
                IDEMPOTENCY_KEY,
                REQUEST_ID,
            ])
            .expose_headers(
                [
                    header::ETAG,
                    header::LOCATION,
                    header::RETRY_AFTER,
                    header::WWW_AUTHENTICATE,
                    REQUEST_ID,
                ]
                .into_iter()
                .chain(exposed)
                .collect::<Vec<_>>(),
            )
            .max_age(Duration::from_hours(1)),
    )
}
