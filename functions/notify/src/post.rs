//! The way out: one request, to an address that may be posted to. A name is resolved here, and of its addresses only those are used that
//! are allowed, so that what is looked at is what is connected to. No redirect is followed, no connection kept, no body read.

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

/// What is posted.
pub struct Request<'a> {
    /// Where to.
    pub url: &'a str,
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`
    pub timestamp: i64,
    /// `webhook-signature`
    pub signatures: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status, and the time that the receiver asks for.
    Status(u16, Option<Duration>),
    /// None, and a word for why.
    None(&'static str),
    /// Nothing was posted: the webhook is disabled.
    Disabled,
}

/// The HTTP client.
pub struct Poster {
    client: Client,
    reach: AllowedTargets,
}

impl Poster {
    /// Prepares the client.
    pub fn new(reach: AllowedTargets) -> anyhow::Result<Self> {
        Self::with_timeout(reach, ANSWER_TIMEOUT)
    }

    /// One with less patience, for tests.
    pub fn with_timeout(reach: AllowedTargets, timeout: Duration) -> anyhow::Result<Self> {
        // The error says that one is installed already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(AllowedOnly(reach))
            // One that the receiver has closed meanwhile would cost a try.
            .pool_max_idle_per_host(0)
            .retry(retry::never())
            .redirect(redirect::Policy::none())
            .http1_only()
            .no_proxy()
            .build()
            .context("the HTTP client for webhooks")?;
        Ok(Self { client, reach })
    }

    /// Posts it.
    pub async fn post(&self, request: Request<'_>) -> Answer {
        // Again, for what was allowed when it was made; and an address in a URL is never resolved.
        let url = match target::read(request.url, self.reach) {
            Ok(url) => url,
            Err(BadTarget::Private | BadTarget::Elsewhere) => return Answer::None(PRIVATE),
            Err(_) => return Answer::None("bad url"),
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
                Answer::Status(
                    response.status().as_u16(),
                    retry_after.map(Duration::from_secs),
                )
            }
            Err(error) => Answer::None(word(&error)),
        }
    }
}

const PRIVATE: &str = "private address";

/// A word for the row: an error's own text may quote what came back.
fn word(error: &reqwest::Error) -> &'static str {
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

/// Resolves as the system does, and keeps what is allowed.
struct AllowedOnly(AllowedTargets);

/// A name has addresses, and none of them may be posted to.
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
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| target::allows(address.ip(), reach))
                .collect();
            if allowed.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
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
    async fn private_addresses_are_refused_whatever_they_are_called() {
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
                Answer::None(PRIVATE),
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
                Answer::None("bad url"),
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_refused_by_the_address() {
        // The URL's own check knows the name; here only the resolver stands in the way.
        let poster = Poster::new(AllowedTargets::Public).unwrap();
        let error = poster
            .client
            .post("https://localhost:9/")
            .send()
            .await
            .unwrap_err();
        assert_eq!(word(&error), PRIVATE);
        let here = Poster::new(AllowedTargets::Loopback).unwrap();
        assert_eq!(
            here.post(request("http://localhost:9/")).await,
            Answer::None("no connection")
        );
    }
}
