//! What is done to answers on their way out: an `ETag`, 304 where the client has it already, and compression.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest;
use tower_http::compression::{CompressionLayer, CompressionLevel, predicate::SizeAbove};

use crate::{App, http::error::ApiError};

/// A shorter answer fits into one packet as it is.
const WORTH_COMPRESSING: u16 = 1024;

/// Puts it around all routes.
pub fn finish(router: Router<App>) -> Router<App> {
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(WORTH_COMPRESSING));
    // The tag is of the answer as it is, so it is weak: compressed it has other bytes.
    router.layer(from_fn(tag)).layer(compression)
}

async fn tag(request: Request, next: Next) -> Response {
    let known = (request.method() == Method::GET).then(|| if_none_match(request.headers()));
    let response = next.run(request).await;
    let Some(known) = known.filter(|_| response.status() == StatusCode::OK) else {
        return response;
    };
    let (mut head, body) = response.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return ApiError::Internal(error.to_string()).into_response(),
    };
    let digest = digest::digest(&digest::SHA256, &body);
    let tag = format!(
        "W/\"{}\"",
        BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
    );
    let same = known.iter().any(|known| {
        known == "*" || known.trim_start_matches("W/") == tag.trim_start_matches("W/")
    });
    if let Ok(tag) = HeaderValue::try_from(tag) {
        head.headers.insert(header::ETAG, tag);
    }
    if same {
        head.status = StatusCode::NOT_MODIFIED;
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            head.headers.remove(name);
        }
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(body))
}

/// The tags that a client has (RFC 9110, section 13.1.2). Ours have no comma in them.
fn if_none_match(headers: &HeaderMap) -> Vec<String> {
    let given = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    given
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().to_owned())
        .collect()
}
