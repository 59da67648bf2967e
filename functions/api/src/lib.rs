//! The HTTP API, where the path of a message begins. A request becomes rows, all of them or none, and only then word goes to
//! dispatch ([`announce`]). A call that comes twice finds its numbers there already, or the schedule moved.
//!
//! One folder a resource; in each file the request, then its handler. What a client did wrong is an [`error::ApiError`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod announce;
pub mod config;
pub mod error;
pub mod fields;
pub mod gateway;
pub mod health;
pub mod intake;
pub mod load;
pub mod query;
pub mod recipients;
pub mod schedules;
pub mod transaction;
pub mod trouble;
pub mod uncertain;

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use chrono::TimeDelta;
use shared::{db::Db, dead_letters::DeadLetters, queue::SharedQueue, scheduler::SharedScheduler};

/// What the handlers work with, made once.
#[derive(Clone)]
pub struct App {
    /// The rows.
    pub db: Db,
    /// Takes what is due at once.
    pub dispatch_queue: SharedQueue,
    /// Takes what is due later.
    pub scheduler: SharedScheduler,
    /// What nobody could take from a queue.
    pub dead_letters: Vec<DeadLetters>,
    /// How long before its time a schedule is dispatched.
    pub dispatch_lead: Duration,
    /// Before so long after its request, an UNCERTAIN message is not sent again: it may still be on its way.
    pub quiet_time: TimeDelta,
    /// The commit that this was built from.
    pub commit: String,
}

/// Every route. Who may call which is a layer around `/v1`, so that no route is forgotten.
pub fn router(app: App) -> Router {
    let v1 = Router::new()
        .route("/schedules", get(schedules::list::list).post(schedules::create::create))
        .route("/schedules/{id}", get(schedules::show::show).patch(schedules::change::change))
        .route("/schedules/{id}/recipients", get(recipients::list::list).post(recipients::append::append))
        .route("/schedules/{id}/activate", post(schedules::moves::activate))
        .route("/schedules/{id}/pause", post(schedules::moves::pause))
        .route("/schedules/{id}/resume", post(schedules::moves::resume))
        .route("/schedules/{id}/cancel", post(schedules::moves::cancel))
        .route("/schedules/{id}/send-now", post(schedules::moves::send_now))
        .route("/schedules/{id}/retry", post(schedules::batches::retry_all))
        .route("/schedules/{id}/batches", get(schedules::batches::list))
        .route("/schedules/{id}/batches/{no}/retry", post(schedules::batches::retry_one))
        .route("/schedules/{id}/uncertain", post(uncertain::resolve_all))
        .route("/schedules/{id}/recipients/{seq}/resolve", post(uncertain::resolve_one))
        .route("/trouble", get(trouble::overview::overview))
        .route("/trouble/dead-letters", get(trouble::dead_letters::list))
        .route("/trouble/dead-letters/redrive", post(trouble::dead_letters::redrive))
        .route("/trouble/{kind}", get(trouble::list::list));
    Router::new()
        .nest("/v1", v1)
        .route("/health", get(health::health))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::wrong_method)
        // The limits are the intake's own, by content type.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}
