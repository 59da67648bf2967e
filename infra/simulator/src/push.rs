//! Receipts that the carrier pushes, where the settings name an address: each message's end, signed, when it comes; those of one request
//! that end within the same tenth of a second in one call. A call that is not answered 2xx is made again, up to five times in all.
//!
//! What is signed: HMAC-SHA256 over `X-Callback-Timestamp`, a full stop and the body, in `X-Callback-Signature: v1=HEX`. A message that ends
//! at once may be pushed before the submit request has its answer: carriers do that too.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::ensure;
use axum::body::Body;
use axum::http::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use ring::hmac;
use serde::Serialize;
use tokio::net::TcpStream;
use url::{Host, Url};

use crate::carrier::{State, now_ms};
use crate::ledger::Ledger;

/// Calls for one receipt.
const TRIES: u32 = 5;
/// Before the second; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(250);
/// What ends within this time goes into one call.
const TOGETHER_MS: u64 = 100;

/// A receipt.
#[derive(Clone, Serialize)]
struct Receipt {
    message_id: String,
    dnis: String,
    status: &'static str,
    delivery_time: String,
    #[serde(skip)]
    at_ms: u64,
}

/// The address, if it is one of this machine.
pub(crate) fn target(url: &str) -> Option<(IpAddr, u16, Url)> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    let ip = match url.host()? {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        Host::Domain(name) => IpAddr::V4((name == "localhost").then_some(Ipv4Addr::LOCALHOST)?),
    };
    let port = url.port_or_known_default()?;
    ip.is_loopback().then_some((ip, port, url))
}

/// Has the ends of the entries from the `from`-th on pushed, if anything is to be pushed at all.
pub(crate) fn begin(state: &State, from: u64) {
    let (Some(url), Some(secret)) = (
        &state.settings.callback_url,
        &state.settings.callback_secret,
    ) else {
        return;
    };
    let Some(target) = target(url) else { return };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    tokio::spawn(push_all(ends(&state.ledger, from), target, key));
}

/// In the order in which they come.
fn ends(ledger: &Ledger, from: u64) -> Vec<Receipt> {
    let receipt = |(message_id, dnis, life): (String, String, crate::life::Life)| {
        let (at_ms, status) = life.end()?;
        Some(Receipt {
            message_id,
            dnis,
            status,
            delivery_time: life.delivery_time(at_ms),
            at_ms,
        })
    };
    let mut ends: Vec<_> = ledger.since(from).filter_map(receipt).collect();
    ends.sort_by_key(|receipt| receipt.at_ms);
    ends
}

async fn push_all(ends: Vec<Receipt>, target: (IpAddr, u16, Url), key: hmac::Key) {
    for together in ends.chunk_by(|one, next| one.at_ms / TOGETHER_MS == next.at_ms / TOGETHER_MS) {
        let last_ms = together.last().map_or(0, |receipt| receipt.at_ms);
        tokio::time::sleep(Duration::from_millis(last_ms.saturating_sub(now_ms()))).await;
        // Each call on its own: one that waits for its next try holds up no other.
        tokio::spawn(push(together.to_vec(), target.clone(), key.clone()));
    }
}

async fn push(receipts: Vec<Receipt>, target: (IpAddr, u16, Url), key: hmac::Key) {
    let body = match receipts.as_slice() {
        [receipt] => serde_json::to_string(receipt),
        receipts => serde_json::to_string(receipts),
    };
    let body = body.unwrap_or_default();
    for tried in 0..TRIES {
        if call(&body, &target, &key).await.is_ok() {
            return;
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(tried)).await;
    }
    eprintln!("{} receipts were not taken", receipts.len());
}

async fn call(
    body: &str,
    (ip, port, url): &(IpAddr, u16, Url),
    key: &hmac::Key,
) -> anyhow::Result<()> {
    let timestamp = (now_ms() / 1000).to_string();
    let tag = hmac::sign(key, format!("{timestamp}.{body}").as_bytes());
    let hex = tag
        .as_ref()
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let request = Request::post(url.path())
        .header(
            "host",
            format!("{}:{port}", url.host_str().unwrap_or_default()),
        )
        .header("content-type", "application/json")
        .header("x-callback-timestamp", timestamp)
        .header("x-callback-signature", format!("v1={hex}"))
        .body(Body::from(body.to_owned()))?;
    let stream = TcpStream::connect((*ip, *port)).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let status = sender
        .send_request(request)
        .await
        .map(|answer| answer.status());
    connection.abort();
    let status = status?;
    ensure!(status.is_success(), "{status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_pushed_to() {
        for good in [
            "http://127.0.0.1:8480/v1/x",
            "http://localhost/x",
            "http://[::1]:9/",
            "http://127.1.2.3:1/",
        ] {
            assert!(target(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1",
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://example.com/",
            "http://localhost.example.com/",
            "file:///x",
        ] {
            assert!(target(bad).is_none(), "{bad}");
        }
    }
}
