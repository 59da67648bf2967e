//! Authentication and authorization: a bearer token (an API key, an access token of this API, or a
//! token of the configured issuer) identifies a [`Caller`], which has permissions.

pub mod access;
pub mod addresses;
pub mod audit;
pub mod caller;
pub mod cors;
pub mod guard;
pub mod issuer;
pub mod limits;
pub mod password;
pub mod ring_provider;
pub mod second_factor;
pub mod store;
pub mod tokens;
pub mod webhook_owner;

use axum::http::HeaderValue;
use shared::platform::run_time;

use crate::{
    auth::limits::Rate,
    http::{error::ApiError, problems},
};

pub use caller::{Caller, Identity};
pub use cors::cors;

/// The keys, limits and origins of authentication, built once per process.
#[derive(Clone)]
pub struct Gate {
    /// The keys of this API's own access tokens.
    pub signing_keys: tokens::SigningKeys,
    /// The outside issuer, if one is configured.
    pub issuer: Option<issuer::Issuer>,
    /// The request rate of each caller, as it was deployed.
    pub deployed_rate: Rate,
    /// The origins of web pages that may call from a browser.
    pub cors_origins: Vec<HeaderValue>,
    /// Who needs a second factor.
    pub second_factor: second_factor::RequiredOf,
    /// Whether accounts of this API can log in. If not, the issuer's can, and API keys work.
    pub local_login: bool,
}

impl Gate {
    /// Returns a gate without an outside issuer. Fails if the keys cannot be read.
    pub async fn open(keys: tokens::KeySource, rate: Rate) -> anyhow::Result<Self> {
        let signing_keys = tokens::SigningKeys::open(keys).await?;
        Ok(Self {
            signing_keys,
            issuer: None,
            deployed_rate: rate,
            cors_origins: Vec::new(),
            second_factor: second_factor::RequiredOf::default(),
            local_login: true,
        })
    }

    /// Returns an error unless accounts of this API can log in.
    pub fn require_local_login(&self) -> Result<(), ApiError> {
        if self.local_login {
            return Ok(());
        }
        let issuer = self.issuer.as_ref().map_or("", |issuer| issuer.url());
        let detail = format!("expected an access token of {issuer}");
        Err(ApiError::Refused(&problems::LOCAL_LOGIN_OFF, detail))
    }

    /// Returns the request rate of each caller that applies now.
    pub fn rate(&self) -> Rate {
        let changed = run_time::values().requests_per_minute;
        changed.map_or(self.deployed_rate, |per_minute| Rate {
            per_minute: per_minute.max(1),
        })
    }
}
