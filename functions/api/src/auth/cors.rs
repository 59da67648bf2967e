//! Cross-origin calls of browsers.

use std::time::Duration;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, header},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::http::{idempotency::IDEMPOTENCY_KEY, origin::REQUEST_ID, page::NEXT_CHANGED_SINCE};

/// Allows cross-origin calls from these origins. Without origins, no header is sent, and browsers
/// refuse all cross-origin calls.
pub fn cors<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    origins: &[HeaderValue],
) -> Router<S> {
    if origins.is_empty() {
        return router;
    }
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let allowed = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_NONE_MATCH,
        IDEMPOTENCY_KEY,
        REQUEST_ID,
    ];
    let exposed = [
        header::ETAG,
        header::LINK,
        header::LOCATION,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        NEXT_CHANGED_SINCE,
        REQUEST_ID,
        HeaderName::from_static("idempotency-replayed"),
        HeaderName::from_static("ratelimit"),
        HeaderName::from_static("ratelimit-policy"),
    ];
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().cloned()))
        .allow_methods(methods)
        .allow_headers(allowed)
        .expose_headers(exposed)
        .max_age(Duration::from_hours(1));
    router.layer(layer)
}
