//! A route: its handler, and its description for the guard and the OpenAPI document.
//!
//! A route cannot be declared without its access rule or without its description.

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};

use crate::{
    App,
    auth::access::Access,
    http::idempotency::StoredAnswer,
    openapi::{Endpoint, Operation},
};

/// One method of one path.
pub struct Route {
    /// Everything except the handler.
    pub endpoint: Endpoint,
    /// The handler.
    pub handler: MethodRouter<App>,
}

/// Declares a GET route; it also answers HEAD.
pub fn get<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    operation: fn() -> Operation,
) -> Route {
    let handler = on(MethodFilter::GET, handler);
    route(Method::GET, path, access, handler, operation)
}

/// Declares a POST route. If it requires a permission, it accepts an `Idempotency-Key`; a login
/// does not, because a login is never answered with the stored tokens of an earlier one.
pub fn post<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    operation: fn() -> Operation,
) -> Route {
    let handler = on(MethodFilter::POST, handler);
    let mut route = route(Method::POST, path, access, handler, operation);
    if matches!(access, Access::Requires(_) | Access::RequiresOrOwn(..)) {
        route.endpoint.stored_answer = Some(StoredAnswer::Full);
    }
    route
}

/// Declares a POST route whose answer contains a secret that is shown once.
pub fn post_secret<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    operation: fn() -> Operation,
) -> Route {
    let mut route = post(path, access, handler, operation);
    route.endpoint.stored_answer = Some(StoredAnswer::StatusOnly);
    route
}

/// Declares a PUT route.
pub fn put<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    operation: fn() -> Operation,
) -> Route {
    let handler = on(MethodFilter::PUT, handler);
    route(Method::PUT, path, access, handler, operation)
}

/// Declares a PATCH route.
pub fn patch<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    operation: fn() -> Operation,
) -> Route {
    let handler = on(MethodFilter::PATCH, handler);
    route(Method::PATCH, path, access, handler, operation)
}

/// Declares a DELETE route.
pub fn delete<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    operation: fn() -> Operation,
) -> Route {
    let handler = on(MethodFilter::DELETE, handler);
    route(Method::DELETE, path, access, handler, operation)
}

fn route(
    method: Method,
    path: &'static str,
    access: Access,
    handler: MethodRouter<App>,
    operation: fn() -> Operation,
) -> Route {
    let endpoint = Endpoint {
        method,
        path,
        access,
        operation,
        stored_answer: None,
    };
    Route { endpoint, handler }
}
