//! Routes of `/v1/webhooks`.

use shared::access::Permission::{WebhooksRead, WebhooksWrite};

use crate::{
    auth::access::Access::Requires,
    resources::webhooks::{change, create, deliveries, list, remove, repeat, rotate, test},
    route::{Route, delete, get, patch, post, post_secret},
};

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
        get(
            "/v1/webhooks",
            Requires(WebhooksRead),
            list::list,
            list::list_doc,
        ),
        post_secret(
            "/v1/webhooks",
            Requires(WebhooksWrite),
            create::create,
            create::create_doc,
        ),
        get(
            "/v1/webhooks/{id}",
            Requires(WebhooksRead),
            list::show,
            list::show_doc,
        ),
        patch(
            "/v1/webhooks/{id}",
            Requires(WebhooksWrite),
            change::change,
            change::change_doc,
        ),
        delete(
            "/v1/webhooks/{id}",
            Requires(WebhooksWrite),
            remove::remove,
            remove::remove_doc,
        ),
        post_secret(
            "/v1/webhooks/{id}/rotate-secret",
            Requires(WebhooksWrite),
            rotate::rotate,
            rotate::rotate_doc,
        ),
        post(
            "/v1/webhooks/{id}/test",
            Requires(WebhooksWrite),
            test::test,
            test::test_doc,
        ),
    ]
}

/// Returns the routes of their deliveries.
fn delivery_routes() -> Vec<Route> {
    vec![
        get(
            "/v1/webhooks/{id}/deliveries",
            Requires(WebhooksRead),
            deliveries::list,
            deliveries::list_doc,
        ),
        post(
            "/v1/webhooks/{id}/deliveries/repeat-failed",
            Requires(WebhooksWrite),
            repeat::failed,
            repeat::failed_doc,
        ),
        post(
            "/v1/webhooks/{id}/deliveries/{event_id}/repeat",
            Requires(WebhooksWrite),
            repeat::one,
            repeat::one_doc,
        ),
    ]
}
