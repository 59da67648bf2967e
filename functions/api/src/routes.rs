//! All routes of the API: one line per resource.
//!
//! The router and the OpenAPI document ([`crate::openapi`]) are built from this table, and the
//! authorization matrix (`infra/security`) calls each of its routes with each kind of credential.

use std::sync::LazyLock;

use axum::{
    Extension, Router, body::Bytes, extract::DefaultBodyLimit, middleware::from_fn_with_state,
};
use serde_json::Value;

use crate::{
    App,
    auth::{
        cors,
        guard::{self, RouteGuard},
    },
    http::{
        error,
        idempotency::{self, Idempotency},
        origin, response,
    },
    openapi,
    resources::{
        api_keys, attention, audit, budgets, carriers, console, documentation, health, messages,
        people, prices, problems, receipts, recipients, schedules, second_factor, senders,
        sessions, spreadsheets, suppressions, system, uncertain, users, webhooks,
    },
    route::Route,
};

/// Returns all routes, in the order of the document.
pub fn table() -> Vec<Route> {
    [
        health::table(),
        problems::routes::table(),
        documentation::routes::table(),
        console::routes::table(),
        sessions::routes::table(),
        second_factor::routes::table(),
        receipts::routes::table(),
        users::routes::table(),
        api_keys::routes::table(),
        audit::routes::table(),
        webhooks::routes::table(),
        schedules::routes::table(),
        recipients::routes::table(),
        spreadsheets::table(),
        uncertain::routes::table(),
        messages::routes::table(),
        people::routes::table(),
        suppressions::routes::table(),
        carriers::routes::table(),
        senders::routes::table(),
        prices::routes::table(),
        budgets::routes::table(),
        system::routes::table(),
        attention::routes::table(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the OpenAPI document of all routes; it is built at the first call.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let endpoints: Vec<_> = table().into_iter().map(|route| route.endpoint).collect();
        let members = [
            schedules::state::PROBLEM_MEMBERS,
            receipts::PROBLEM_MEMBERS,
            recipients::one::single::PROBLEM_MEMBERS,
            health::PROBLEM_MEMBERS,
        ];
        openapi::document(&endpoints, &members)
    });
    &DOCUMENT
}

/// Returns the document as text; it is serialized at the first call.
fn document_text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    TEXT.clone()
}

/// Builds the router: each route behind its guard, and the layers that all routes share.
pub fn router(app: App) -> Router {
    let routes = table()
        .into_iter()
        .fold(Router::new(), |router, route| add(&app, router, route));
    let routes = routes
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(Extension(documentation::DocumentText(document_text)));
    // Bodies have limits of their own, by content type.
    let routes =
        response::finish(cors(routes, &app.gate.cors_origins)).layer(DefaultBodyLimit::disable());
    let trace = from_fn_with_state(app.edge.clone(), origin::trace);
    routes.layer(trace).with_state(app)
}

/// Adds a route: the guard authenticates the caller, then the idempotency layer, if the route has
/// one, looks up a stored answer, then the handler runs.
fn add(app: &App, router: Router<App>, route: Route) -> Router<App> {
    let endpoint = route.endpoint;
    let mut handler = route.handler;
    if let Some(stored_answer) = endpoint.stored_answer {
        let state = Idempotency {
            db: app.db.clone(),
            stored_answer,
        };
        handler = handler.route_layer(from_fn_with_state(state, idempotency::idempotency));
    }
    let state = RouteGuard {
        db: app.db.clone(),
        gate: app.gate.clone(),
        access: endpoint.access,
        path: endpoint.path,
    };
    router.route(
        endpoint.path,
        handler.route_layer(from_fn_with_state(state, guard::guard)),
    )
}
