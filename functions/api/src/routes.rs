//! Every route, and what it needs: one table. The router is made from it, so a route without a word about who may call it can't be
//! written; the authorization matrix (`infra/security`) walks over it.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::Method,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodFilter, MethodRouter, on},
};
use shared::access::Permission::{
    self, ApiKeys, AuditRead, SchedulesRead, SchedulesWrite, SuppressionsRead, SuppressionsWrite, TroubleRead, TroubleWrite, Users,
    WebhooksRead, WebhooksWrite,
};

use crate::{
    App, answer, api_keys, audit,
    auth::{cors, guard},
    error, health, messages,
    once::{self, Keep},
    origin, problems, recipients, schedules, sessions, suppressions, trouble, uncertain, users, webhooks,
};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a login.
    Public,
    /// Everybody with one.
    Anyone,
    /// A person who logged in here: it is about that session, or that password.
    Person,
    /// Who has that permission.
    Needs(Permission),
}

/// A route.
pub struct Route {
    /// GET also answers HEAD.
    pub method: Method,
    /// As axum writes it.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What is kept of the answer to a request with an `Idempotency-Key`; none: the key means nothing here.
    pub keep: Option<Keep>,
    handler: MethodRouter<App>,
}

fn get<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { method: Method::GET, path, access, keep: None, handler: on(MethodFilter::GET, handler) }
}

fn post<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    // A login is never carried out for an earlier one, and its answer is nothing to keep.
    let keep = matches!(access, Access::Needs(_)).then_some(Keep::Answer);
    Route { method: Method::POST, path, access, keep, handler: on(MethodFilter::POST, handler) }
}

/// A POST whose answer holds a secret that is shown once.
fn post_secret<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { keep: Some(Keep::Nothing), ..post(path, access, handler) }
}

fn put<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { method: Method::PUT, path, access, keep: None, handler: on(MethodFilter::PUT, handler) }
}

fn patch<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { method: Method::PATCH, path, access, keep: None, handler: on(MethodFilter::PATCH, handler) }
}

fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { method: Method::DELETE, path, access, keep: None, handler: on(MethodFilter::DELETE, handler) }
}

/// Every route.
pub fn table() -> Vec<Route> {
    use Access::{Anyone, Needs, Person, Public};
    vec![
        get("/health", Public, health::health),
        get("/problems", Public, problems::list),
        get("/problems/{slug}", Public, problems::show),
        post("/v1/auth/login", Public, sessions::login::login),
        post("/v1/auth/refresh", Public, sessions::refresh::refresh),
        post("/v1/auth/logout", Person, sessions::end::logout),
        post("/v1/auth/password", Person, sessions::password::change),
        get("/v1/auth/me", Anyone, sessions::me::me),
        get("/v1/users", Needs(Users), users::list::list),
        post_secret("/v1/users", Needs(Users), users::create::create),
        get("/v1/users/{id}", Needs(Users), users::show::show),
        patch("/v1/users/{id}", Needs(Users), users::change::change),
        get("/v1/api-keys", Needs(ApiKeys), api_keys::list),
        post_secret("/v1/api-keys", Needs(ApiKeys), api_keys::create::create),
        get("/v1/api-keys/{id}", Needs(ApiKeys), api_keys::show),
        delete("/v1/api-keys/{id}", Needs(ApiKeys), api_keys::revoke),
        get("/v1/audit", Needs(AuditRead), audit::list::list),
        get("/v1/webhooks", Needs(WebhooksRead), webhooks::list::list),
        post_secret("/v1/webhooks", Needs(WebhooksWrite), webhooks::create::create),
        get("/v1/webhooks/{id}", Needs(WebhooksRead), webhooks::list::show),
        patch("/v1/webhooks/{id}", Needs(WebhooksWrite), webhooks::change::change),
        delete("/v1/webhooks/{id}", Needs(WebhooksWrite), webhooks::remove::remove),
        post_secret("/v1/webhooks/{id}/rotate-secret", Needs(WebhooksWrite), webhooks::rotate::rotate),
        post("/v1/webhooks/{id}/test", Needs(WebhooksWrite), webhooks::test::test),
        get("/v1/webhooks/{id}/deliveries", Needs(WebhooksRead), webhooks::deliveries::list),
        post("/v1/webhooks/{id}/deliveries/repeat-failed", Needs(WebhooksWrite), webhooks::repeat::failed),
        post("/v1/webhooks/{id}/deliveries/{event_id}/repeat", Needs(WebhooksWrite), webhooks::repeat::one),
        get("/v1/schedules", Needs(SchedulesRead), schedules::list::list),
        post("/v1/schedules", Needs(SchedulesWrite), schedules::create::create),
        get("/v1/schedules/{id}", Needs(SchedulesRead), schedules::show::show),
        patch("/v1/schedules/{id}", Needs(SchedulesWrite), schedules::change::change),
        get("/v1/schedules/{id}/recipients", Needs(SchedulesRead), recipients::list::list),
        post("/v1/schedules/{id}/recipients", Needs(SchedulesWrite), recipients::append::append),
        post("/v1/schedules/{id}/activate", Needs(SchedulesWrite), schedules::moves::activate),
        post("/v1/schedules/{id}/pause", Needs(SchedulesWrite), schedules::moves::pause),
        post("/v1/schedules/{id}/resume", Needs(SchedulesWrite), schedules::moves::resume),
        post("/v1/schedules/{id}/cancel", Needs(SchedulesWrite), schedules::moves::cancel),
        post("/v1/schedules/{id}/send-now", Needs(TroubleWrite), schedules::moves::send_now),
        get("/v1/schedules/{id}/batches", Needs(SchedulesRead), schedules::batches::list),
        post("/v1/schedules/{id}/retry", Needs(TroubleWrite), schedules::batches::retry_all),
        post("/v1/schedules/{id}/batches/{no}/retry", Needs(TroubleWrite), schedules::batches::retry_one),
        post("/v1/schedules/{id}/uncertain", Needs(TroubleWrite), uncertain::resolve_all),
        post("/v1/schedules/{id}/recipients/{seq}/resolve", Needs(TroubleWrite), uncertain::resolve_one),
        get("/v1/messages", Needs(SchedulesRead), messages::list::list),
        get("/v1/suppressions", Needs(SuppressionsRead), suppressions::read::list),
        post("/v1/suppressions/import", Needs(SuppressionsWrite), suppressions::import::import),
        get("/v1/suppressions/{phone}", Needs(SuppressionsRead), suppressions::read::show),
        put("/v1/suppressions/{phone}", Needs(SuppressionsWrite), suppressions::change::put),
        delete("/v1/suppressions/{phone}", Needs(SuppressionsWrite), suppressions::change::delete),
        get("/v1/trouble", Needs(TroubleRead), trouble::overview::overview),
        get("/v1/trouble/dead-letters", Needs(TroubleRead), trouble::dead_letters::list),
        post("/v1/trouble/dead-letters/redrive", Needs(TroubleWrite), trouble::dead_letters::redrive),
        get("/v1/trouble/{kind}", Needs(TroubleRead), trouble::list::list),
    ]
}

/// The router of the table.
pub fn router(app: App) -> Router {
    let guarded = |router: Router<App>, route: Route| {
        let handler = match route.keep {
            Some(keep) => route.handler.route_layer(from_fn_with_state((app.clone(), keep), once::once)),
            None => route.handler,
        };
        let guard = from_fn_with_state((app.clone(), route.access, route.path), guard::guard);
        router.route(route.path, handler.route_layer(guard))
    };
    let routes = table().into_iter().fold(Router::new(), guarded);
    let routes = routes.fallback(error::no_such_route).method_not_allowed_fallback(error::wrong_method);
    // The limits are the intake's own, by content type.
    let routes = answer::finish(cors(routes, &app.gate.cors_origins)).layer(DefaultBodyLimit::disable());
    routes.layer(from_fn(origin::trace)).with_state(app)
}
