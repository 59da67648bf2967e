//! Forwards one request to the target and returns its response. Both are streamed.

use std::fmt;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST};
use axum::http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body_util::{LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::target::Target;

const LARGEST_BODY: usize = 12 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Headers about one connection, not about the message (RFC 9110, 7.6.1). `connection` itself is
/// removed last, after the headers that it names.
const HOP_BY_HOP: [&str; 8] = [
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The reason why there is no response to return.
#[derive(Debug)]
pub(crate) enum ForwardError {
    /// The request body is larger than the proxy accepts.
    TooLarge,
    /// The target received nothing.
    Unreachable(String),
    /// The target may or may not have processed the request.
    Broken(hyper::Error),
}

impl ForwardError {
    /// Returns the HTTP status of the problem response.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreachable(_) | Self::Broken(_) => StatusCode::BAD_GATEWAY,
        }
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(formatter, "the body is larger than {LARGEST_BODY} bytes"),
            Self::Unreachable(reason) => write!(formatter, "the target can't be reached: {reason}"),
            Self::Broken(error) => write!(
                formatter,
                "no response from the target, which may have processed the request: {error}"
            ),
        }
    }
}

/// Sends `request` to `target` exactly once; it is never retried.
pub(crate) async fn forward(
    target: &Target,
    mut request: Request,
) -> Result<Response<Incoming>, ForwardError> {
    if announced_length(request.headers()).is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(ForwardError::TooLarge);
    }
    *request.uri_mut() = target
        .uri(request.uri())
        .map_err(|error| ForwardError::Unreachable(error.to_string()))?;
    drop_hop_by_hop(request.headers_mut());
    // The server side of this proxy answers `expect: 100-continue` by reading the body.
    request.headers_mut().remove(EXPECT);
    request.headers_mut().insert(HOST, target.host());
    let stream = connect(target)
        .await
        .map_err(|error| ForwardError::Unreachable(error.to_string()))?;
    let mut response = send(stream, request).await?;
    drop_hop_by_hop(response.headers_mut());
    Ok(response)
}

async fn connect(target: &Target) -> std::io::Result<TcpStream> {
    let stream =
        tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target.address())).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn send(stream: TcpStream, request: Request) -> Result<Response<Incoming>, ForwardError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ForwardError::Unreachable(error.to_string()))?;
    // The connection's errors are returned by the request and by the response's body.
    tokio::spawn(connection);
    let request = request.map(|body| Limited::new(body, LARGEST_BODY));
    sender.send_request(request).await.map_err(|error| {
        if is_too_large(&error) {
            ForwardError::TooLarge
        } else {
            ForwardError::Broken(error)
        }
    })
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_too_large(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
}
