//! Routes of `/v1/webhooks`.

use shared::access::Permission::{WebhooksOwn, WebhooksRead, WebhooksWrite};

use crate::{
    auth::access::Access::{self, RequiresOrOwn},
    resources::webhooks::{change, create, deliveries, list, remove, repeat, rotate, test},
    route::{Route, delete, get, patch, post, post_secret},
};

/// Reads all webhooks, or one's own.
const READ: Access = RequiresOrOwn(WebhooksRead, WebhooksOwn);
/// Changes all webhooks, or one's own.
const WRITE: Access = RequiresOrOwn(WebhooksWrite, WebhooksOwn);

/// Returns the routes of webhooks.
pub fn table() -> Vec<Route> {
    [webhook_routes(), delivery_routes()]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns the routes of the webhooks themselves.
fn webhook_routes() -> Vec<Route> {
    vec![
        get("/v1/webhooks", READ, list::list, list::list_doc),
        post_secret("/v1/webhooks", WRITE, create::create, create::create_doc),
        get("/v1/webhooks/{id}", READ, list::show, list::show_doc),
        patch(
            "/v1/webhooks/{id}",
            WRITE,
            change::change,
            change::change_doc,
        ),
        delete(
            "/v1/webhooks/{id}",
            WRITE,
            remove::remove,
            remove::remove_doc,
        ),
        post_secret(
            "/v1/webhooks/{id}/rotate-secret",
            WRITE,
            rotate::rotate,
            rotate::rotate_doc,
        ),
        post("/v1/webhooks/{id}/test", WRITE, test::test, test::test_doc),
    ]
}

/// Returns the routes of their deliveries.
fn delivery_routes() -> Vec<Route> {
    vec![
        get(
            "/v1/webhooks/{id}/deliveries",
            READ,
            deliveries::list,
            deliveries::list_doc,
        ),
        post(
            "/v1/webhooks/{id}/deliveries/repeat-failed",
            WRITE,
            repeat::failed,
            repeat::failed_doc,
        ),
        post(
            "/v1/webhooks/{id}/deliveries/{event_id}/repeat",
            WRITE,
            repeat::one,
            repeat::one_doc,
        ),
    ]
}
