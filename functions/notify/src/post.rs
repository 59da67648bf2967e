//! The request to a receiver, to an address that is allowed.
//!
//! The name is resolved here, and only allowed addresses are used, so that the checked address is
//! the one that is connected to. No redirect is followed, no connection is kept, and no body is
//! read.

use std::{error::Error, fmt, net::SocketAddr, time::Duration};

use anyhow::Context;
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect, retry,
};
use shared::events::target::{self, AllowedTargets, BadTarget};

/// A receiver that accepts no connection in this time is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the resolution of the name to the head of the answer. A receiver should do slower work
/// after its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

const USER_AGENT: &str = concat!("sms-scheduler/", env!("CARGO_PKG_VERSION"));

/// One request.
pub struct Request<'a> {
    /// The URL of the webhook.
    pub url: &'a str,
    /// The header `webhook-id`.
    pub id: &'a str,
    /// The header `webhook-timestamp`: Unix seconds.
    pub timestamp: i64,
    /// The header `webhook-signature`.
    pub signatures: String,
    /// The body: JSON.
    pub body: Vec<u8>,
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostResult {
    /// The receiver answered.
    Status {
        /// The HTTP status.
        code: u16,
        /// The wait that the receiver requests (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// There was no answer, for this reason.
    None(&'static str),
    /// Nothing was posted: the webhook is disabled.
    Disabled,
}

/// The HTTP client.
pub struct Poster {
    client: Client,
    allowed: AllowedTargets,
}

impl Poster {
    /// Builds the client.
    pub fn new(allowed: AllowedTargets) -> anyhow::Result<Self> {
        Self::with_timeout(allowed, ANSWER_TIMEOUT)
    }

    /// Builds a client with another timeout, for tests.
    pub fn with_timeout(allowed: AllowedTargets, timeout: Duration) -> anyhow::Result<Self> {
        // An error means that a provider is installed already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(AllowedOnly(allowed))
            // A kept connection that the receiver has closed would cost a try.
            .pool_max_idle_per_host(0)
            .retry(retry::never())
            .redirect(redirect::Policy::none())
            .http1_only()
            .no_proxy()
            .build()
            .context("the HTTP client for webhooks")?;
        Ok(Self { client, allowed })
    }

    /// Posts a request.
    pub async fn post(&self, request: Request<'_>) -> PostResult {
        // Checked again: the rules may have changed since the webhook was created, and an address
        // in a URL is never resolved.
        let url = match target::read(request.url, self.allowed) {
            Ok(url) => url,
            Err(BadTarget::Private | BadTarget::Elsewhere) => return PostResult::None(PRIVATE),
            Err(_) => return PostResult::None("bad url"),
        };
        let call = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", request.id);
        let call = call
            .header("webhook-timestamp", request.timestamp)
            .header("webhook-signature", request.signatures);
        match call.body(request.body).send().await {
            Ok(response) => {
                let retry_after = response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.trim().parse().ok());
                PostResult::Status {
                    code: response.status().as_u16(),
                    retry_after: retry_after.map(Duration::from_secs),
                }
            }
            Err(error) => PostResult::None(failure_reason(&error)),
        }
    }
}

const PRIVATE: &str = "private address";

/// Returns the reason for the row. The error's own text is not used: it may quote the response.
fn failure_reason(error: &reqwest::Error) -> &'static str {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<NotAllowed>() {
            return PRIVATE;
        }
        cause = inner.source();
    }
    match error {
        error if error.is_timeout() => "timed out",
        error if error.is_connect() => "no connection",
        _ => "connection closed",
    }
}

/// Resolves names with the system resolver, and keeps the allowed addresses.
struct AllowedOnly(AllowedTargets);

/// The name has addresses, and none of them is allowed.
#[derive(Debug)]
struct NotAllowed;

impl fmt::Display for NotAllowed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(PRIVATE)
    }
}

impl Error for NotAllowed {}

impl Resolve for AllowedOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found
                .filter(|address| target::allows(address.ip(), allowed))
                .collect();
            if addresses.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> Request<'_> {
        Request {
            url,
            id: "msg_x",
            timestamp: 0,
            signatures: String::new(),
            body: Vec::new(),
        }
    }

    #[tokio::test]
    async fn private_addresses_are_refused_in_each_notation() {
        let poster = Poster::new(AllowedTargets::Public).unwrap();
        for url in [
            "https://127.0.0.1:9/",
            "https://[::1]:9/",
            "https://localhost:9/",
            "https://169.254.169.254/",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert_eq!(
                poster.post(request(url)).await,
                PostResult::None(PRIVATE),
                "{url}"
            );
        }
        for url in [
            "http://example.com/",
            "nonsense",
            "https://user@example.com/",
        ] {
            assert_eq!(
                poster.post(request(url)).await,
                PostResult::None("bad url"),
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_refused() {
        // The check of the URL, which also refuses this name, is left out: only the resolver
        // refuses it.
        let poster = Poster::new(AllowedTargets::Public).unwrap();
        let error = poster
            .client
            .post("https://localhost:9/")
            .send()
            .await
            .unwrap_err();
        assert_eq!(failure_reason(&error), PRIVATE);
        let loopback = Poster::new(AllowedTargets::Loopback).unwrap();
        assert_eq!(
            loopback.post(request("http://localhost:9/")).await,
            PostResult::None("no connection")
        );
    }
}
