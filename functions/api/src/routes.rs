//! Every route, and what it needs: one table. The router is made from it, so a route without a word about who may call it, or about what it
//! is, can't be written; the OpenAPI document ([`crate::openapi`]) is made from it too; the authorization matrix (`infra/security`) walks
//! over it.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::Method,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodFilter, MethodRouter, on},
};
use shared::access::Permission::{
    self, ApiKeys, AttentionRead, AttentionWrite, AuditRead, SchedulesRead, SchedulesWrite,
    SuppressionsRead, SuppressionsWrite, Users, WebhooksRead, WebhooksWrite,
};

use crate::{
    App,
    auth::{cors, guard},
    http::{
        error,
        idempotency::{self, Keep},
        origin, problems, response,
    },
    openapi::{Operation, page, serve},
    resources::{
        api_keys, attention, audit, health, messages, receipts, recipients, schedules, sessions,
        suppressions, uncertain, users, webhooks,
    },
};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a login.
    Public,
    /// Who signs: the handler looks, before it does anything, and no request is counted.
    Signed,
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
    /// What the document says of it.
    pub doc: fn() -> Operation,
    /// What is kept of the answer to a request with an `Idempotency-Key`; none: the key means nothing here.
    pub keep: Option<Keep>,
    handler: MethodRouter<App>,
}

fn get<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    doc: fn() -> Operation,
) -> Route {
    Route {
        method: Method::GET,
        path,
        access,
        doc,
        keep: None,
        handler: on(MethodFilter::GET, handler),
    }
}

fn post<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    doc: fn() -> Operation,
) -> Route {
    // A login is never carried out for an earlier one, and its answer is nothing to keep.
    let keep = matches!(access, Access::Needs(_)).then_some(Keep::Answer);
    Route {
        method: Method::POST,
        path,
        access,
        doc,
        keep,
        handler: on(MethodFilter::POST, handler),
    }
}

/// A POST whose answer holds a secret that is shown once.
fn post_secret<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    doc: fn() -> Operation,
) -> Route {
    Route {
        keep: Some(Keep::Nothing),
        ..post(path, access, handler, doc)
    }
}

fn put<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    doc: fn() -> Operation,
) -> Route {
    Route {
        method: Method::PUT,
        path,
        access,
        doc,
        keep: None,
        handler: on(MethodFilter::PUT, handler),
    }
}

fn patch<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    doc: fn() -> Operation,
) -> Route {
    Route {
        method: Method::PATCH,
        path,
        access,
        doc,
        keep: None,
        handler: on(MethodFilter::PATCH, handler),
    }
}

fn delete<H: Handler<T, App>, T: 'static>(
    path: &'static str,
    access: Access,
    handler: H,
    doc: fn() -> Operation,
) -> Route {
    Route {
        method: Method::DELETE,
        path,
        access,
        doc,
        keep: None,
        handler: on(MethodFilter::DELETE, handler),
    }
}

/// Every route.
pub fn table() -> Vec<Route> {
    use Access::{Anyone, Needs, Person, Public, Signed};
    vec![
        get("/health", Public, health::health, health::health_doc),
        get("/problems", Public, problems::list, problems::list_doc),
        get(
            "/problems/{slug}",
            Public,
            problems::show,
            problems::show_doc,
        ),
        get("/openapi.json", Public, serve::openapi, serve::openapi_doc),
        get("/docs", Public, page::page, page::page_doc),
        get("/docs/{file}", Public, page::file, page::file_doc),
        post(
            "/v1/auth/login",
            Public,
            sessions::login::login,
            sessions::login::login_doc,
        ),
        post(
            "/v1/auth/refresh",
            Public,
            sessions::refresh::refresh,
            sessions::refresh::refresh_doc,
        ),
        post(
            "/v1/auth/logout",
            Person,
            sessions::end::logout,
            sessions::end::logout_doc,
        ),
        post(
            "/v1/auth/password",
            Person,
            sessions::password::change,
            sessions::password::change_doc,
        ),
        get(
            "/v1/auth/me",
            Anyone,
            sessions::me::me,
            sessions::me::me_doc,
        ),
        post(
            "/v1/carrier/callbacks/{carrier}",
            Signed,
            receipts::receive,
            receipts::receive_doc,
        ),
        get(
            "/v1/users",
            Needs(Users),
            users::list::list,
            users::list::list_doc,
        ),
        post_secret(
            "/v1/users",
            Needs(Users),
            users::create::create,
            users::create::create_doc,
        ),
        get(
            "/v1/users/{id}",
            Needs(Users),
            users::show::show,
            users::show::show_doc,
        ),
        patch(
            "/v1/users/{id}",
            Needs(Users),
            users::change::change,
            users::change::change_doc,
        ),
        get(
            "/v1/api-keys",
            Needs(ApiKeys),
            api_keys::list,
            api_keys::list_doc,
        ),
        post_secret(
            "/v1/api-keys",
            Needs(ApiKeys),
            api_keys::create::create,
            api_keys::create::create_doc,
        ),
        get(
            "/v1/api-keys/{id}",
            Needs(ApiKeys),
            api_keys::show,
            api_keys::show_doc,
        ),
        delete(
            "/v1/api-keys/{id}",
            Needs(ApiKeys),
            api_keys::revoke,
            api_keys::revoke_doc,
        ),
        get(
            "/v1/audit",
            Needs(AuditRead),
            audit::list::list,
            audit::list::list_doc,
        ),
        get(
            "/v1/webhooks",
            Needs(WebhooksRead),
            webhooks::list::list,
            webhooks::list::list_doc,
        ),
        post_secret(
            "/v1/webhooks",
            Needs(WebhooksWrite),
            webhooks::create::create,
            webhooks::create::create_doc,
        ),
        get(
            "/v1/webhooks/{id}",
            Needs(WebhooksRead),
            webhooks::list::show,
            webhooks::list::show_doc,
        ),
        patch(
            "/v1/webhooks/{id}",
            Needs(WebhooksWrite),
            webhooks::change::change,
            webhooks::change::change_doc,
        ),
        delete(
            "/v1/webhooks/{id}",
            Needs(WebhooksWrite),
            webhooks::remove::remove,
            webhooks::remove::remove_doc,
        ),
        post_secret(
            "/v1/webhooks/{id}/rotate-secret",
            Needs(WebhooksWrite),
            webhooks::rotate::rotate,
            webhooks::rotate::rotate_doc,
        ),
        post(
            "/v1/webhooks/{id}/test",
            Needs(WebhooksWrite),
            webhooks::test::test,
            webhooks::test::test_doc,
        ),
        get(
            "/v1/webhooks/{id}/deliveries",
            Needs(WebhooksRead),
            webhooks::deliveries::list,
            webhooks::deliveries::list_doc,
        ),
        post(
            "/v1/webhooks/{id}/deliveries/repeat-failed",
            Needs(WebhooksWrite),
            webhooks::repeat::failed,
            webhooks::repeat::failed_doc,
        ),
        post(
            "/v1/webhooks/{id}/deliveries/{event_id}/repeat",
            Needs(WebhooksWrite),
            webhooks::repeat::one,
            webhooks::repeat::one_doc,
        ),
        get(
            "/v1/schedules",
            Needs(SchedulesRead),
            schedules::list::list,
            schedules::list::list_doc,
        ),
        post(
            "/v1/schedules",
            Needs(SchedulesWrite),
            schedules::create::create,
            schedules::create::create_doc,
        ),
        get(
            "/v1/schedules/{id}",
            Needs(SchedulesRead),
            schedules::show::show,
            schedules::show::show_doc,
        ),
        patch(
            "/v1/schedules/{id}",
            Needs(SchedulesWrite),
            schedules::change::change,
            schedules::change::change_doc,
        ),
        get(
            "/v1/schedules/{id}/recipients",
            Needs(SchedulesRead),
            recipients::list::list,
            recipients::list::list_doc,
        ),
        post(
            "/v1/schedules/{id}/recipients",
            Needs(SchedulesWrite),
            recipients::append::append,
            recipients::append::append_doc,
        ),
        post(
            "/v1/schedules/{id}/activate",
            Needs(SchedulesWrite),
            schedules::moves::activate,
            schedules::moves::activate_doc,
        ),
        post(
            "/v1/schedules/{id}/pause",
            Needs(SchedulesWrite),
            schedules::moves::pause,
            schedules::moves::pause_doc,
        ),
        post(
            "/v1/schedules/{id}/resume",
            Needs(SchedulesWrite),
            schedules::moves::resume,
            schedules::moves::resume_doc,
        ),
        post(
            "/v1/schedules/{id}/cancel",
            Needs(SchedulesWrite),
            schedules::moves::cancel,
            schedules::moves::cancel_doc,
        ),
        post(
            "/v1/schedules/{id}/send-now",
            Needs(AttentionWrite),
            schedules::moves::send_now,
            schedules::moves::send_now_doc,
        ),
        get(
            "/v1/schedules/{id}/batches",
            Needs(SchedulesRead),
            schedules::batches::list,
            schedules::batches::list_doc,
        ),
        post(
            "/v1/schedules/{id}/retry",
            Needs(AttentionWrite),
            schedules::batches::retry_all,
            schedules::batches::retry_all_doc,
        ),
        post(
            "/v1/schedules/{id}/batches/{no}/retry",
            Needs(AttentionWrite),
            schedules::batches::retry_one,
            schedules::batches::retry_one_doc,
        ),
        post(
            "/v1/schedules/{id}/uncertain",
            Needs(AttentionWrite),
            uncertain::resolve_all,
            uncertain::resolve_all_doc,
        ),
        post(
            "/v1/schedules/{id}/recipients/{seq}/resolve",
            Needs(AttentionWrite),
            uncertain::resolve_one,
            uncertain::resolve_one_doc,
        ),
        get(
            "/v1/messages",
            Needs(SchedulesRead),
            messages::list::list,
            messages::list::list_doc,
        ),
        get(
            "/v1/suppressions",
            Needs(SuppressionsRead),
            suppressions::read::list,
            suppressions::read::list_doc,
        ),
        post(
            "/v1/suppressions/import",
            Needs(SuppressionsWrite),
            suppressions::import::import,
            suppressions::import::import_doc,
        ),
        get(
            "/v1/suppressions/{phone}",
            Needs(SuppressionsRead),
            suppressions::read::show,
            suppressions::read::show_doc,
        ),
        put(
            "/v1/suppressions/{phone}",
            Needs(SuppressionsWrite),
            suppressions::change::put,
            suppressions::change::put_doc,
        ),
        delete(
            "/v1/suppressions/{phone}",
            Needs(SuppressionsWrite),
            suppressions::change::delete,
            suppressions::change::delete_doc,
        ),
        get(
            "/v1/attention",
            Needs(AttentionRead),
            attention::overview::overview,
            attention::overview::overview_doc,
        ),
        get(
            "/v1/attention/dead-letters",
            Needs(AttentionRead),
            attention::dead_letters::list,
            attention::dead_letters::list_doc,
        ),
        post(
            "/v1/attention/dead-letters/redrive",
            Needs(AttentionWrite),
            attention::dead_letters::redrive,
            attention::dead_letters::redrive_doc,
        ),
        get(
            "/v1/attention/{kind}",
            Needs(AttentionRead),
            attention::list::list,
            attention::list::list_doc,
        ),
    ]
}

/// The router of the table.
pub fn router(app: App) -> Router {
    let guarded = |router: Router<App>, route: Route| {
        let handler = match route.keep {
            Some(keep) => route
                .handler
                .route_layer(from_fn_with_state((app.clone(), keep), idempotency::once)),
            None => route.handler,
        };
        let guard = from_fn_with_state((app.clone(), route.access, route.path), guard::guard);
        router.route(route.path, handler.route_layer(guard))
    };
    let routes = table().into_iter().fold(Router::new(), guarded);
    let routes = routes
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::wrong_method);
    // The limits are the intake's own, by content type.
    let routes =
        response::finish(cors(routes, &app.gate.cors_origins)).layer(DefaultBodyLimit::disable());
    routes.layer(from_fn(origin::trace)).with_state(app)
}
