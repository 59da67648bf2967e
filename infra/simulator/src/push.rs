//! Pushes receipts, if the settings contain a callback URL. Each message's final status is pushed
//! when it occurs. Messages of one request that end within the same tenth of a second share one
//! call. A call without a 2xx response is repeated, up to five calls in all.
//!
//! The signature is the HMAC-SHA256 of `X-Callback-Timestamp`, a full stop and the body, sent as
//! `X-Callback-Signature: v1=HEX`. A message that ends at once may be pushed before the submit
//! request has its response: real carriers do that too.

use std::time::Duration;

use anyhow::ensure;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use ring::hmac;
use serde::Serialize;
use tokio::net::TcpStream;

use crate::callback_target::CallbackTarget;
use crate::clock::now_ms;
use crate::ledger::{AcceptedMessage, Ledger};
use crate::settings::Settings;

/// Calls per receipt.
const MAX_CALLS: u32 = 5;
/// Pause before the second call. It doubles before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Messages that end within the same interval share one call.
const INTERVAL_MS: u64 = 100;

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

/// Where receipts are pushed, and the key that signs them.
#[derive(Clone)]
struct Callback {
    target: CallbackTarget,
    key: hmac::Key,
}

/// Starts to push the receipts of the ledger's entries from `from` to the end. Does nothing unless
/// the settings contain a callback.
pub(crate) fn start(settings: &Settings, ledger: &Ledger, from: u64) {
    let (Some(url), Some(secret)) = (&settings.callback_url, &settings.callback_secret) else {
        return;
    };
    let Some(target) = CallbackTarget::parse(url) else {
        return;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    tokio::spawn(push_all(receipts(ledger, from), Callback { target, key }));
}

/// Returns the receipts, sorted by the time of the final status.
fn receipts(ledger: &Ledger, from: u64) -> Vec<Receipt> {
    let receipt = |accepted: AcceptedMessage| {
        let (at_ms, status) = accepted.message.end()?;
        Some(Receipt {
            message_id: accepted.message_id,
            dnis: accepted.dnis,
            status,
            delivery_time: accepted.message.delivery_time(at_ms),
            at_ms,
        })
    };
    let mut receipts: Vec<_> = ledger.messages_since(from).filter_map(receipt).collect();
    receipts.sort_by_key(|receipt| receipt.at_ms);
    receipts
}

async fn push_all(receipts: Vec<Receipt>, callback: Callback) {
    let same_interval =
        |one: &Receipt, next: &Receipt| one.at_ms / INTERVAL_MS == next.at_ms / INTERVAL_MS;
    for group in receipts.chunk_by(same_interval) {
        let last_ms = group.last().map_or(0, |receipt| receipt.at_ms);
        tokio::time::sleep(Duration::from_millis(last_ms.saturating_sub(now_ms()))).await;
        // Each call has its own task, so that a call that waits for its retry delays no other.
        tokio::spawn(push(group.to_vec(), callback.clone()));
    }
}

async fn push(receipts: Vec<Receipt>, callback: Callback) {
    let body = match receipts.as_slice() {
        [receipt] => serde_json::to_string(receipt),
        receipts => serde_json::to_string(receipts),
    };
    let body = body.unwrap_or_default();
    for call_no in 0..MAX_CALLS {
        if callback.call(&body).await.is_ok() {
            return;
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(call_no)).await;
    }
    eprintln!(
        "{} receipts were discarded: {MAX_CALLS} calls failed",
        receipts.len()
    );
}

impl Callback {
    async fn call(&self, body: &str) -> anyhow::Result<()> {
        let status = self.post(self.signed_request(body)?).await?;
        ensure!(status.is_success(), "{status}");
        Ok(())
    }

    fn signed_request(&self, body: &str) -> anyhow::Result<Request<Body>> {
        let CallbackTarget { port, url, .. } = &self.target;
        let timestamp = (now_ms() / 1000).to_string();
        let tag = hmac::sign(&self.key, format!("{timestamp}.{body}").as_bytes());
        let hex = tag
            .as_ref()
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let host = format!("{}:{port}", url.host_str().unwrap_or_default());
        Ok(Request::post(url.path())
            .header("host", host)
            .header("content-type", "application/json")
            .header("x-callback-timestamp", timestamp)
            .header("x-callback-signature", format!("v1={hex}"))
            .body(Body::from(body.to_owned()))?)
    }

    async fn post(&self, request: Request<Body>) -> anyhow::Result<StatusCode> {
        let stream = TcpStream::connect((self.target.ip, self.target.port)).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await;
        connection.abort();
        Ok(response?.status())
    }
}
