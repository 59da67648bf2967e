//! Layers over all answers: an `ETag`, 304 if the client has the current answer, and compression.

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

use crate::http::error::ApiError;

/// Bytes from which an answer is compressed; a shorter one fits into one packet.
const WORTH_COMPRESSING: u16 = 1024;

/// Adds the layers to all routes.
pub fn finish<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(WORTH_COMPRESSING));
    // The tag is computed before the compression, which changes the bytes: so it is weak.
    router.layer(from_fn(tag)).layer(compression)
}

/// Adds the tag to each 200 of a GET, or answers 304 if the client has it.
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

/// Returns the tags that the client has (RFC 9110, section 13.1.2). The tags of this API contain no
/// comma.
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
